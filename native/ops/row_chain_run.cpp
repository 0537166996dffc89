#include "ops/row_chain_run.h"

#include <array>
#include <cstring>

#include "ops/epilogue.h"
#include "plan/row_chain.h"

namespace chainrule::ops {
namespace {

constexpr int kSlots = 2 + kEpilogueInputs + 2;

// A launch of a chain by one member.
class Run {
 public:
  Run(const Chain& chain, const StepArgs& args) : chain_(chain), args_(args), last_(int(chain.links.size()) - 1) {
    for (int s = 0; s <= last_; ++s) {
      const Link& link = chain.links[size_t(s)];
      State& state = states_[size_t(s)];
      state.bind(args, 1 + link.inputs);
      if (s == 0) state.slots[0] = const_cast<void*>(args.in<void>(0));
      for (int i = 0; i < link.inputs; ++i)
        state.slots[size_t(1 + i)] = const_cast<void*>(args.in<void>(link.firstInput + i));
      if (link.stage.prepare) state.prepared = link.stage.prepare(state.args, args.shared + link.preparedOffset);
    }
  }

  void run(int parts) {
    State& end = states_[size_t(last_)];
    for (int part = 0; part < parts; ++part) end.slots[size_t(end.args.inputs + part)] = args_.out<void>(part);
    if (chain_.inSteps(args_.members))
      inSteps();
    else
      inBlocks(args_.split(chain_.rows()));
  }

 private:
  struct State : StageCall<kSlots> {
    int64_t begin = 0, end = 0;  // rows in its block
    int64_t limit = 0;           // rows of this image that this member needs
  };

  void inSteps() {
    for (int s = 0; s <= last_; ++s) {
      const Link& link = chain_.links[size_t(s)];
      if (s < last_) setResult(s, reinterpret_cast<float*>(args_.shared + link.wholeOffset));
      link.stage.runPart(states_[size_t(s)].args, states_[size_t(s)].prepared, args_.own);
      if (s < last_) args_.barrier();
    }
  }

  void inBlocks(Range own) {
    const Link& end = chain_.links[size_t(last_)];
    for (int64_t row = own.begin; row < own.end;) {
      image_ = row / end.rows;
      const int64_t first = row % end.rows, count = std::min(end.rows - first, own.end - row);
      int64_t begin = first, limit = first + count;
      for (int s = last_; s > 0; --s) {
        const Link& link = chain_.links[size_t(s)];
        limit = link.endSource(limit - 1), begin = link.firstSource(begin);
        State& source = states_[size_t(s - 1)];
        source.begin = source.end = begin, source.limit = limit;
      }
      for (int64_t r = first; r < first + count; r += end.chunk)
        compute(last_, r, std::min(r + end.chunk, first + count));
      row += count;
    }
  }

  void compute(int s, int64_t begin, int64_t end) {
    const Link& link = chain_.links[size_t(s)];
    if (s > 0) need(s - 1, link.firstSource(begin), link.endSource(end - 1));
    const State& state = states_[size_t(s)];
    link.stage.run(state.args, state.prepared, {image_ * link.rows + begin, image_ * link.rows + end}, args_.own);
  }

  // Rows of the block behind stage s; it fills up when it has to take new ones.
  void need(int s, int64_t begin, int64_t end) {
    const Link& link = chain_.links[size_t(s)];
    State& state = states_[size_t(s)];
    if (end <= state.end) return;
    float* block = reinterpret_cast<float*>(args_.own + link.blockOffset);
    if (end > state.begin + link.capacity) {
      const int64_t kept = std::max<int64_t>(0, state.end - begin), size = link.stage.rowSize;
      if (kept > 0) std::memmove(block, block + (begin - state.begin) * size, size_t(kept * size) * sizeof(float));
      state.begin = begin, state.end = begin + kept;
    }
    setResult(s, block - (image_ * link.rows + state.begin) * link.stage.rowSize);
    const int64_t full = std::min(state.begin + link.capacity, state.limit);
    for (; state.end < full; state.end = std::min(full, state.end + link.chunk))
      compute(s, state.end, std::min(full, state.end + link.chunk));
  }

  void setResult(int s, float* result) {
    State& state = states_[size_t(s)];
    state.slots[size_t(state.args.inputs)] = result;
    states_[size_t(s + 1)].slots[0] = result;
  }

  const Chain& chain_;
  const StepArgs& args_;
  const int last_;
  int64_t image_ = 0;
  std::array<State, RowChain::kLongest> states_;
};

}  // namespace

void runChain(const Chain& chain, const StepArgs& args, int parts) { Run(chain, args).run(parts); }

}  // namespace chainrule::ops
