#pragma once

namespace chainrule {

// What the machine can do at most with so many threads, measured now: the yardstick of benchmarks.
struct Floor {
  double gflops = 0;     // fused multiply-adds in registers
  double streamGBs = 0;  // in-place scaling of an array far larger than the caches, bytes read and written
  double cacheGBs = 0;   // reading 4 MB again and again, as weights of a small model are read
};
Floor measureFloor(int threads);

}  // namespace chainrule
