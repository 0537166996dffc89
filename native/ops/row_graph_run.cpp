#include "ops/row_graph_run.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/island.h"
#include "plan/row_graph.h"

namespace chainrule::ops {

void RowGraphRun::findRanges() {
  ranges.assign(size_t(blocks) * stages.size(), {});
  for (int64_t k = 0; k < blocks; ++k) {
    Range* const of = ranges.data() + k * int64_t(stages.size());
    for (size_t s = stages.size(); s-- > 0;) {
      const GraphStage& stage = stages[s];
      if (stage.leaves || stage.sums()) of[s] = {stage.rows * k / blocks, stage.rows * (k + 1) / blocks};
      if (of[s].empty()) continue;
      for (size_t i = 0; i < stage.inputs.size(); ++i) {
        if (stage.inputs[i].tensor < 0) continue;
        const size_t producer = size_t(tensors[size_t(stage.inputs[i].tensor)].producer);
        const Range needed = stage.stage.source ? stage.stage.source(int(i), of[s]) : of[s];
        if (stages[producer].leaves || needed.empty()) continue;
        Range& all = of[producer];
        all = all.empty() ? needed : Range{std::min(all.begin, needed.begin), std::max(all.end, needed.end)};
      }
    }
  }
}

int64_t RowGraphRun::rowsOf(const GraphStage& stage, int64_t chunk) const {
  const auto before = [&](int64_t block) {
    return block / blocks * stage.rows + stage.rows * (block % blocks) / blocks;
  };
  return before(firstBlock(chunk + 1)) - before(firstBlock(chunk));
}

namespace {

constexpr int kSlots = cpu::kIslandInputs + cpu::kIslandOutputs;

// A launch by one member.
class Run {
 public:
  Run(const RowGraphRun& graph, const StepArgs& args) : graph_(graph), args_(args) {
    for (size_t s = 0; s < graph.stages.size(); ++s) {
      const GraphStage& stage = graph.stages[s];
      State& state = states_[s];
      state.bind(args, int(stage.inputs.size()));
      for (size_t i = 0; i < stage.inputs.size(); ++i) {
        if (stage.inputs[i].tensor < 0) state.slots[i] = const_cast<void*>(args.in<void>(stage.inputs[i].input));
      }
      for (size_t part = 0; stage.sums() && part < stage.results.size(); ++part) {
        const int output = stage.results[part];
        state.slots[stage.inputs.size() + part] = output < 0 ? nullptr : args.out<void>(output);
      }
      if (stage.stage.prepare) state.prepared = stage.stage.prepare(state.args, args.shared + stage.preparedOffset);
    }
  }

  void run() {
    const Range own = args_.split(graph_.chunks);
    for (int64_t chunk = own.begin; chunk < own.end; ++chunk) runChunk(chunk);
    args_.barrier();
    for (size_t s = 0; s < graph_.stages.size(); ++s) {
      const GraphStage& stage = graph_.stages[s];
      if (!stage.sums()) continue;
      std::array<int64_t, kMostChunks> rows;
      for (int64_t chunk = 0; chunk < graph_.chunks; ++chunk) rows[size_t(chunk)] = graph_.rowsOf(stage, chunk);
      stage.stage.total(states_[s].args, {sums(stage, 0), graph_.chunks, stage.stage.sumFloats, rows.data()});
    }
  }

 private:
  struct State : StageCall<kSlots> {
    Range rows;          // of this image that its windows hold
    int64_t begin = 0;   // the row at their start
    int64_t summed = 0;  // rows of this chunk
  };

  float* sums(const GraphStage& stage, int64_t chunk) const {
    return reinterpret_cast<float*>(args_.shared + stage.sumOffset) + chunk * stage.stage.sumFloats;
  }

  void runChunk(int64_t chunk) {
    const int64_t first = graph_.firstBlock(chunk), last = graph_.firstBlock(chunk + 1);
    for (State& state : states_) state.summed = 0;
    for (int64_t block = first; block < last; ++block) {
      image_ = block / graph_.blocks;
      if (block == first || block % graph_.blocks == 0) {
        for (State& state : states_) state.rows = {};
      }
      const Range* const ranges = graph_.rangesOf(block);
      for (size_t s = 0; s < graph_.stages.size(); ++s) {
        if (ranges[s].empty()) continue;
        if (graph_.stages[s].sums())
          add(s, ranges[s], chunk);
        else
          compute(s, ranges[s]);
      }
    }
  }

  void add(size_t s, Range rows, int64_t chunk) {
    const GraphStage& stage = graph_.stages[s];
    bindInputs(s);
    stage.stage.add(states_[s].args, inAll(stage, rows), sums(stage, chunk), states_[s].summed, args_.own);
    states_[s].summed += rows.end - rows.begin;
  }

  // The rows of the range that its windows don't hold yet.
  void compute(size_t s, Range wanted) {
    const GraphStage& stage = graph_.stages[s];
    State& state = states_[s];
    makeRoom(stage, state, wanted);
    const Range missing = {std::max(state.rows.end, wanted.begin), wanted.end};
    state.rows = {wanted.begin, std::max(state.rows.end, wanted.end)};
    if (missing.empty()) return;
    bindInputs(s);
    for (size_t i = 0; i < stage.results.size(); ++i) state.slots[stage.inputs.size() + i] = base(stage.results[i]);
    stage.stage.run(state.args, state.prepared, inAll(stage, missing), args_.own);
  }

  void makeRoom(const GraphStage& stage, State& state, Range wanted) {
    if (!state.rows.empty() && wanted.end <= state.begin + stage.capacity) return;
    const int64_t kept = state.rows.end - wanted.begin;
    for (int result : stage.results) {
      const RowTensor& tensor = graph_.tensors[size_t(result)];
      float* memory = reinterpret_cast<float*>(args_.own + tensor.offset);
      if (tensor.output < 0 && kept > 0)
        std::memmove(memory, memory + (wanted.begin - state.begin) * tensor.rowSize,
                     size_t(kept * tensor.rowSize) * sizeof(float));
    }
    state.begin = wanted.begin;
  }

  // Where row 0 of all images would be.
  float* base(int t) const {
    const RowTensor& tensor = graph_.tensors[size_t(t)];
    if (tensor.output >= 0) return args_.out<float>(tensor.output);
    const int64_t first = image_ * tensor.rows + states_[size_t(tensor.producer)].begin;
    return reinterpret_cast<float*>(args_.own + tensor.offset) - first * tensor.rowSize;
  }
  void bindInputs(size_t s) {
    const GraphStage& stage = graph_.stages[s];
    for (size_t i = 0; i < stage.inputs.size(); ++i) {
      if (stage.inputs[i].tensor >= 0) states_[s].slots[i] = base(stage.inputs[i].tensor);
    }
  }

  Range inAll(const GraphStage& stage, Range rows) const {
    return {image_ * stage.rows + rows.begin, image_ * stage.rows + rows.end};
  }

  const RowGraphRun& graph_;
  const StepArgs& args_;
  int64_t image_ = 0;
  std::array<State, RowGraph::kStages> states_;
};

}  // namespace

void RowGraphRun::run(const StepArgs& args) const { Run(*this, args).run(); }

}  // namespace chainrule::ops
