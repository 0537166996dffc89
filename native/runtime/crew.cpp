#include "runtime/crew.h"

#include <thread>
#include <vector>

#include "cpu/float_mode.h"
#include "runtime/cores.h"

namespace chainrule {

struct Crew::Followers {
  explicit Followers(int size) : team(size) {}
  cpu::Barrier team;
  std::vector<std::thread> threads;
};

Crew::Crew(Machine& machine) : machine_(machine) {}
Crew::~Crew() { dismiss(); }

void Crew::muster(int size) {
  if (followers_ && followers_->team.size() == size) return;
  dismiss();
  followers_ = std::make_unique<Followers>(size);
  for (int member = 1; member < size; ++member) {
    followers_->threads.emplace_back([&machine = machine_, &team = followers_->team, member] {
      const cpu::FlushDenormals flush;
      machine.follow(team, member);
    });
  }
}

void Crew::dismiss() {
  if (!followers_) return;
  machine_.enter(followers_->team);
  machine_.leave();
  for (std::thread& thread : followers_->threads) thread.join();
  followers_.reset();
}

Crew::Shift::Shift(Crew& crew) : crew_(crew) {
  const int size = CoreArbiter::instance().borrow(&crew, threadLimit().threads);
  if (size < 2) return;
  crew.muster(size);
  crew.machine_.enter(crew.followers_->team);
}

Crew::Shift::~Shift() {
  crew_.machine_.rest();
  CoreArbiter::instance().release(&crew_);
}

}  // namespace chainrule
