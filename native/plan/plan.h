#pragma once

#include <string>
#include <vector>

#include "plan/backend.h"

namespace chainrule {

// Where a slot's memory is. Arena and persistent memory belong to the plan's owner, the rest is bound for each run.
enum class Space : uint8_t { arena, persistent, constant, variable, input, output };

struct Slot {
  Space space = Space::arena;
  uint32_t index = 0;  // of the input, variable, constant or output
  int64_t offset = 0;  // bytes
  int64_t bytes = 0;
  bool operator==(const Slot&) const = default;
};

struct Step {
  std::string name;                // op, or the ops of an island
  std::string scope;               // layer
  std::vector<uint32_t> operands;  // slots of inputs, then of outputs
  int inputs = 0;
  Launch launch;
  double cost = 0;
  int64_t bytes = 0;                         // read and written, for the profile
  double flop = 0;                           // of its products, likewise
  uint32_t sharedScratch = 0;                // slot
  int64_t indexLimit = 0, indexRowSize = 0;  // see Lowering
  bool parallel = false;
};

// A program for one batch size: flat lists of steps over one arena.
struct Plan {
  int64_t batch = 0;
  std::vector<Slot> slots;
  std::vector<uint32_t> boundSlots;  // those outside arena and persistent memory
  std::vector<Step> prologue;        // depends on weights alone: runs again when they changed
  bool prologueOfAny = false;        // its values are those of every batch size
  std::vector<Step> body;
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  int64_t arenaBytes = 0;
  int64_t persistentBytes = 0;
  int64_t memberScratch = 0;
  double cost = 0;
  bool parallel = false;  // some step uses the team
};

std::string describe(const Plan& plan);

}  // namespace chainrule
