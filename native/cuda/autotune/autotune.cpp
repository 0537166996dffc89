#include "cuda/autotune/autotune.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <random>

#include "cuda/autotune/choice_file.h"
#include "plan/device.h"

namespace chainrule::cuda {
namespace {

constexpr int kRounds = 7;
constexpr double kRoundMicroseconds = 500;  // of a way, so that its beginning and end count little
constexpr int kMostCalls = 50;              // of a round
constexpr double kHopeless = 3;             // times slower than another at first sight: not looked at again

// What fails because of memory says nothing about the ways.
struct NoMemory {};
void orThrow(const Outcome& outcome) {
  if (outcome.code == "DEVICE_OOM") throw NoMemory();
  outcome.orThrow();
}

// Numbers that are ordinary as float32 and as pairs of bfloat16, from 0.5 to 1 with either sign: zeros would let a GPU
// run faster than it does.
const std::vector<uint32_t>& numbers() {
  static const auto* const words = [] {  // leaked on purpose: threads may outlive static destruction
    auto* const fresh = new std::vector<uint32_t>(1 << 18);
    std::mt19937 random;
    for (uint32_t& word : *fresh) word = (uint32_t(random()) & 0x807F807Fu) | 0x3F003F00u;
    return fresh;
  }();
  return *words;
}

// Of a way, without the data that only whoever makes it needs.
std::string labelOf(std::string_view name) { return std::string(name.substr(0, name.find(':'))); }

class Block {
 public:
  Block(Device& device, int64_t bytes) : device_(device) {
    orThrow(device.allocate(std::max<int64_t>(bytes, 1), memory_));
  }
  ~Block() { device_.release(memory_); }
  Block(const Block&) = delete;

  void* memory() const { return memory_; }
  void fill(int64_t bytes) const {
    const int64_t most = int64_t(numbers().size() * sizeof(uint32_t));
    for (int64_t at = 0; at < bytes; at += most)
      device_.copyIn(static_cast<std::byte*>(memory_) + at, numbers().data(), std::min(most, bytes - at)).orThrow();
  }

 private:
  Device& device_;
  void* memory_ = nullptr;
};

// A way, and how long a call of it takes.
struct Runner {
  std::string name;
  Lowering lowering;
  std::vector<Step> steps = {};
  std::unique_ptr<Recording> recording = nullptr;
  double microseconds = std::numeric_limits<double>::infinity();
  bool out = false;  // of the race

  void record(Device& device, const DeviceFrame& frame, const Step& step, int calls) {
    recording = nullptr;
    steps.assign(size_t(calls), step);
    for (Step& call : steps) call.launch = lowering.launch;
    orThrow(device.record(steps, frame, recording));
  }
  double run() const {
    const auto begin = std::chrono::steady_clock::now();
    orThrow(recording->run(nullptr));
    orThrow(recording->wait());
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
    return time.count() / double(steps.size());
  }
};

class Race {
 public:
  Race(const LowerContext& node, const Ways& ways) : device_(*node.device) {
    size_t scratch = 0;
    for (const std::string& name : ways.names()) {
      std::optional<Lowering> made = ways.make(name);
      if (!made) continue;
      scratch = std::max(scratch, made->sharedScratch);
      runners_.push_back({name, std::move(*made)});
    }
    const auto add = [&](int64_t bytes, bool filled) {
      blocks_.push_back(std::make_unique<Block>(device_, bytes));
      if (filled) blocks_.back()->fill(bytes);
      frame_.slots.push_back(blocks_.back()->memory());
      frame_.slotBytes.push_back(bytes);
      return uint32_t(frame_.slots.size() - 1);
    };
    for (const TensorType& type : node.in) step_.operands.push_back(add(type.bytes(), true));
    for (const TensorType& type : node.out) step_.operands.push_back(add(type.bytes(), false));
    step_.inputs = int(node.in.size());
    step_.sharedScratch = add(int64_t(scratch), false);
    device_.finish().orThrow();  // what others asked for
  }

  Choice run() {
    // In turn, so that all have the clock rates of a GPU at work.
    each([&](Runner& runner) {
      runner.record(device_, frame_, step_, 1);
      runner.run();  // loads kernels
    });
    each([](Runner& runner) { runner.microseconds = runner.run(); });
    const double limit = kHopeless * fastest().microseconds;
    for (Runner& runner : runners_) runner.out = runner.out || runner.microseconds > limit;
    each([&](Runner& runner) {
      const int calls = int(std::clamp(kRoundMicroseconds / runner.microseconds, 1.0, double(kMostCalls)));
      if (calls == 1) return;
      runner.record(device_, frame_, step_, calls);
      runner.microseconds = runner.run();
    });
    for (int round = 0; round < kRounds; ++round)
      each([](Runner& runner) { runner.microseconds = std::min(runner.microseconds, runner.run()); });
    return {fastest().name, timesText()};
  }

 private:
  // Calls that the device or a library refuses put a way out of the race; what is not theirs to refuse goes on.
  template <typename Body>
  void each(Body body) {
    for (Runner& runner : runners_) {
      if (runner.out) continue;
      try {
        body(runner);
      } catch (const Error& error) {
        if (error.code() != "DEVICE") throw;
        runner.out = true;
        runner.microseconds = std::numeric_limits<double>::infinity();
        refusal_ = error.what();
      }
    }
  }

  const Runner& fastest() const {
    const auto found = std::ranges::min_element(runners_, {}, &Runner::microseconds);
    if (found == runners_.end() || found->microseconds == std::numeric_limits<double>::infinity())
      fail("DEVICE", "autotune: no way to compute this works: ", refusal_);
    return *found;
  }

  std::string timesText() const {
    std::string text;
    for (const Runner& runner : runners_) {
      char time[32] = "refused";
      if (runner.microseconds != std::numeric_limits<double>::infinity())
        std::snprintf(time, sizeof time, "%.1f us", runner.microseconds);
      text += (text.empty() ? "" : ", ") + labelOf(runner.name) + " " + time;
    }
    return text;
  }

  Device& device_;
  std::vector<std::unique_ptr<Block>> blocks_;  // of the slots
  std::vector<Runner> runners_;
  DeviceFrame frame_;
  Step step_;
  std::string refusal_;
};

std::optional<Choice> measure(const LowerContext& node, const Ways& ways) {
  try {
    return Race(node, ways).run();
  } catch (const NoMemory&) {
    return std::nullopt;
  }
}

}  // namespace

Lowering lowerFastest(const LowerContext& node, const Ways& ways) {
  const DeviceDescription& device = node.device->description();
  const std::string machine =
      device.name + " (" + std::to_string(device.major) + "." + std::to_string(device.minor) + "), " + ways.library;
  ChoiceFile& file = ChoiceFile::at(std::string(node.autotune));
  for (;;) {
    const std::optional<Choice> known = file.find(machine, ways.key);
    if (known) {
      if (std::optional<Lowering> lowering = ways.make(known->name)) {
        lowering->way = labelOf(known->name);
        return *lowering;
      }
    }
    const std::optional<Choice> measured = measure(node, ways);
    if (!measured) return ways.byRule();
    // What then stands there, this choice or that of somebody who was faster, is made by its name.
    file.add(machine, ways.key, *measured, known ? known->name : "");
  }
}

}  // namespace chainrule::cuda
