#include "runtime/crew.h"

#include <future>
#include <system_error>
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

bool Crew::muster(int size) {
  // A lane that lingers takes a core for a moment only: no reason to start anew.
  const int present = followers_ ? followers_->team.size() : 0;
  if (size <= present && 2 * size > present) return true;
  dismiss();
  auto made = std::make_unique<Followers>(size);
  std::promise<bool> complete;
  const std::shared_future<bool> starts = complete.get_future().share();
  try {
    for (int member = 1; member < size; ++member) {
      made->threads.emplace_back([&machine = machine_, &team = made->team, starts, member] {
        if (!starts.get()) return;
        const cpu::FlushDenormals flush;
        machine.follow(team, member);
      });
    }
  } catch (const std::system_error&) {
    complete.set_value(false);
    for (std::thread& thread : made->threads) thread.join();
    return false;
  }
  complete.set_value(true);
  followers_ = std::move(made);
  return true;
}

void Crew::dismiss() {
  if (!followers_) return;
  machine_.enter(followers_->team);
  machine_.leave();
  for (std::thread& thread : followers_->threads) thread.join();
  followers_.reset();
}

Crew::Shift::Lease::Lease(Crew& crew)
    : crew(crew), size(CoreArbiter::instance().borrow(&crew, threadLimit().threads)) {}
Crew::Shift::Lease::~Lease() { CoreArbiter::instance().release(&crew); }

Crew::Shift::Shift(Crew& crew) : lease_(crew) {
  if (lease_.size > 1 && crew.muster(lease_.size)) crew.machine_.enter(crew.followers_->team);
}

Crew::Shift::~Shift() { lease_.crew.machine_.rest(); }

}  // namespace chainrule
