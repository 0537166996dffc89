// The pool of native/cuda against a simple account of what it gave: memory_pool.test.ts compiles and runs it.
#include "cuda/memory_pool.h"

#include <cstdio>
#include <cstdlib>
#include <random>

using namespace chainrule;
using cuda::MemoryPool;

namespace {

int failures = 0;
void expect(bool holds, const char* what) {
  if (!holds && ++failures <= 10) std::printf("FAIL: %s\n", what);
}

// Addresses of a source that never lie where somebody could write, and what it does when it is told to.
struct FakeSource {
  std::map<char*, int64_t> pieces;
  char* next = reinterpret_cast<char*>(int64_t(1) << 40);
  int64_t room = int64_t(1) << 60;
  int taken = 0, settled = 0;

  MemoryPool::Source as(bool pools = true) {
    return {.name = "there",
            .take = [this](int64_t bytes, void*& memory) -> Outcome {
              if (bytes > room) return {"DEVICE_OOM", "full"};
              room -= bytes;
              ++taken;
              memory = next;
              pieces[next] = bytes;
              next += bytes;  // neighbours touch: only blocks of one piece may join
              return {};
            },
            .give =
                [this](void* memory) {
                  room += pieces.at(static_cast<char*>(memory));
                  pieces.erase(static_cast<char*>(memory));
                },
            .settle = [this] { ++settled; },
            .pools = pools};
  }
};

void random(unsigned seed) {
  FakeSource source;
  MemoryPool pool(source.as());
  std::mt19937 generator(seed);
  std::map<char*, int64_t> live;
  std::map<char*, int64_t> resting;  // given back, and the device may still work there
  int settled = 0;
  for (int i = 0; i < 4000; ++i) {
    if (live.empty() || generator() % 5 > 1) {
      const int64_t bytes = 1 + int64_t(generator()) % (int64_t(1) << (generator() % 24));
      void* memory = nullptr;
      expect(!pool.allocate(bytes, memory).failed(), "there is room");
      if (source.settled != settled) resting.clear();
      char* const begin = static_cast<char*>(memory);
      char* const end = begin + bytes;
      expect(reinterpret_cast<uintptr_t>(begin) % 256 == 0, "aligned");
      for (const auto& blocks : {live, resting}) {
        const auto after = blocks.lower_bound(begin);
        expect(after == blocks.end() || after->first >= end, "ends before the next block");
        expect(after == blocks.begin() || std::prev(after)->first + std::prev(after)->second <= begin,
               "begins after the block before");
      }
      const auto piece = std::prev(source.pieces.upper_bound(begin));
      expect(end <= piece->first + piece->second, "lies in a piece");
      live[begin] = bytes;
    } else {
      auto chosen = live.begin();
      std::advance(chosen, generator() % live.size());
      pool.release(chosen->first);
      resting.insert(*chosen);
      live.erase(chosen);
    }
    if (i % 500 == 0) {
      pool.trim();
      resting.clear();
      for (const auto& [begin, bytes] : source.pieces) {
        const auto inside = live.lower_bound(begin);
        expect(inside != live.end() && inside->first < begin + bytes, "a piece that nobody uses went back");
      }
    }
    settled = source.settled;
  }
  for (const auto& [begin, bytes] : live) pool.release(begin);
  expect(pool.usedBytes() == 0, "nothing is used");
  pool.trim();
  expect(pool.heldBytes() == 0 && source.pieces.empty(), "all pieces went back");
}

void pieces() {
  FakeSource source;
  MemoryPool pool(source.as());
  void *first = nullptr, *second = nullptr;
  for (int i = 0; i < 100; ++i) {
    pool.allocate(1000, first);
    pool.release(first);
  }
  expect(source.taken == 1, "small blocks are cut from one piece");
  expect(source.settled < 2, "nobody waits for blocks that rest while there are others");
  pool.allocate(40 << 20, first);
  pool.release(first);
  pool.allocate(36 << 20, second);
  expect(second == first && source.taken == 2, "a large block serves again");
  pool.release(second);
  pool.allocate(4 << 20, second);
  expect(source.taken == 3, "but not what is far smaller");

  FakeSource small;
  small.room = 60 << 20;
  MemoryPool tight(small.as());
  tight.allocate(40 << 20, first);
  tight.release(first);
  expect(!tight.allocate(50 << 20, first).failed(), "what is unused goes back before memory is refused");
  const Outcome refused = tight.allocate(20 << 20, second);
  expect(refused.code == "DEVICE_OOM" &&
             refused.message.find("20971520 bytes asked, 52428800 in use") != std::string::npos,
         "says what was asked and what is in use");
  tight.release(first);
  expect(!tight.allocate((60 << 20) - 256, first).failed(), "a piece as large as asked is tried, too");
  tight.release(first);
  tight.limit(10 << 20);
  expect(tight.allocate(11 << 20, first).code == "DEVICE_OOM", "a limit refuses");
  expect(!tight.allocate(9 << 20, first).failed(), "and lets through what is within");

  FakeSource plain;
  MemoryPool none(plain.as(false));
  none.allocate(10, first);
  expect(plain.pieces.begin()->second == 10, "without a pool a block is a piece");
  none.release(first);
  expect(plain.pieces.empty() && plain.settled == 1, "which goes back when nobody works with it any more");
}

}  // namespace

int main() {
  for (unsigned seed = 0; seed < 8; ++seed) {
    random(seed);
  }
  pieces();
  if (failures == 0) std::printf("passed\n");
  return failures > 0;
}
