#pragma once

#include <memory>

#include "runtime/machine.h"

namespace chainrule {

// The threads that share the runs on a JavaScript thread. They start with the first run that is worth it; between runs
// they spin a little, then sleep.
class Crew {
 public:
  explicit Crew(Machine& machine);
  ~Crew();

  // While it lives, the machine has as many members as there are cores without other work; at least the caller.
  class Shift {
   public:
    explicit Shift(Crew& crew);
    ~Shift();
    Shift(const Shift&) = delete;
    Shift& operator=(const Shift&) = delete;

   private:
    struct Lease {  // given back even where threads could not be started
      explicit Lease(Crew& crew);
      ~Lease();
      Crew& crew;
      int size;
    };
    Lease lease_;
  };

  void dismiss();  // ends the threads; the next shift starts others

 private:
  struct Followers;
  bool muster(int size);  // false: the system has no threads left

  Machine& machine_;
  std::unique_ptr<Followers> followers_;
};

}  // namespace chainrule
