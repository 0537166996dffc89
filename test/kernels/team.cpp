#include <atomic>

#include "check.h"

// The team: members meet at every barrier, results of before are visible after, and denormals flush only inside.
using namespace check;

KERNEL_CASE(teamBarriers) {
  for (int size : {1, 2, 3, 7}) {
    Team team(size);
    std::vector<int64_t> counts(size);
    std::atomic<int> wrong = 0;
    for (int round = 0; round < 5; ++round) {
      team.run([&](int member) {
        for (int step = 0; step < 200; ++step) {
          ++counts[member];
          team.barrier().wait();
          for (int64_t c : counts) wrong += c != counts[0];
          team.barrier().wait();
        }
      });
    }
    expect(wrong == 0 && counts[0] == 1000, "team of %d: %d wrong", size, wrong.load());
  }
}

KERNEL_CASE(teamFloatMode) {
  volatile float tiny = 1e-20f;  // its square is denormal
  std::atomic<int> flushed = 0;
  Team team(2);
  team.run([&](int) { flushed += tiny * tiny == 0; });
  expect(flushed == 2, "denormals are flushed in members");
}

KERNEL_CASE(teamParts) {
  for (int round = 0; round < 1000; ++round) {
    const int64_t count = pick(0, 1000), grain = pick(1, 40);
    const int size = int(pick(1, 9));
    int64_t at = 0;
    for (int m = 0; m < size; ++m) {
      const Range r = partOf(count, grain, m, size);
      expect(r.begin == at && r.end >= r.begin && (r.end % grain == 0 || r.end == count), "partOf");
      at = r.end;
    }
    expect(at == count, "partOf covers all");
  }
}
