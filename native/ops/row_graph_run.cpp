#include "ops/row_graph_run.h"

#include <algorithm>
#include <cstring>

namespace chainrule::ops {

void RowGraphRun::ranges(int64_t k, std::vector<Range>& of) const {
  of.assign(stages.size(), {});
  for (size_t s = stages.size(); s-- > 0;) {
    const GraphStage& stage = stages[s];
    if (stage.leaves || stage.sums()) of[s] = {stage.rows * k / blocks, stage.rows * (k + 1) / blocks};
    if (of[s].empty()) continue;
    for (size_t i = 0; i < stage.inputs.size(); ++i) {
      const int producer = stage.inputs[i].producer;
      if (producer < 0 || stages[size_t(producer)].leaves) continue;
      const Range needed = stage.stage.source ? stage.stage.source(int(i), of[s]) : of[s];
      Range& all = of[size_t(producer)];
      if (needed.empty()) continue;
      all = all.empty() ? needed : Range{std::min(all.begin, needed.begin), std::max(all.end, needed.end)};
    }
  }
}

int64_t RowGraphRun::rowsOf(const GraphStage& stage, int64_t chunk) const {
  const auto before = [&](int64_t block) { return block / blocks * stage.rows + stage.rows * (block % blocks) / blocks; };
  return before(firstBlock(chunk + 1)) - before(firstBlock(chunk));
}

namespace {

// A launch by one member.
class Run {
 public:
  Run(const RowGraphRun& graph, const StepArgs& args) : graph_(graph), args_(args), tensors_(graph.tensors.size()) {
    for (const GraphStage& stage : graph.stages) {
      State& state = states_.emplace_back();
      state.slots.assign(stage.inputs.size() + std::max<size_t>(1, stage.results.size()), nullptr);
      state.operands.resize(state.slots.size());
      for (size_t i = 0; i < state.operands.size(); ++i) state.operands[i] = uint32_t(i);
      state.args = args;
      state.args.slots = state.slots.data(), state.args.operands = state.operands.data();
      state.args.inputs = int(stage.inputs.size());
      for (size_t i = 0; i < stage.inputs.size(); ++i) {
        if (stage.inputs[i].tensor < 0) state.slots[i] = const_cast<void*>(args.in<void>(stage.inputs[i].input));
      }
      if (stage.stage.prepare) state.prepared = stage.stage.prepare(state.args, args.shared + stage.preparedOffset);
    }
  }

  void run() {
    const Range own = args_.split(graph_.chunks);
    for (int64_t chunk = own.begin; chunk < own.end; ++chunk) runChunk(chunk);
    args_.barrier();
    std::vector<int64_t> rows;
    for (size_t s = 0; s < states_.size(); ++s) {
      const GraphStage& stage = graph_.stages[s];
      if (!stage.sums()) continue;
      rows.clear();
      for (int64_t chunk = 0; chunk < graph_.chunks; ++chunk) rows.push_back(graph_.rowsOf(stage, chunk));
      for (size_t part = 0; part < stage.results.size(); ++part)
        states_[s].slots[stage.inputs.size() + part] = stage.results[part] < 0 ? nullptr : args_.out<void>(stage.results[part]);
      stage.stage.total(states_[s].args, {sums(s, 0), graph_.chunks, stage.stage.sumFloats, rows.data()});
    }
  }

 private:
  struct State {
    StepArgs args;
    std::vector<void*> slots;
    std::vector<uint32_t> operands;
    const void* prepared = nullptr;
    Range rows;  // of this image that its windows hold
  };
  struct Window {
    float* base = nullptr;  // where row 0 of all images would be
    int64_t begin = 0;      // row of this image at its start
  };

  float* sums(size_t stage, int64_t chunk) const {
    const GraphStage& s = graph_.stages[stage];
    return reinterpret_cast<float*>(args_.shared + s.sumOffset) + chunk * s.stage.sumFloats;
  }

  void runChunk(int64_t chunk) {
    const int64_t first = graph_.firstBlock(chunk), last = graph_.firstBlock(chunk + 1);
    summed_.assign(states_.size(), 0);
    for (int64_t block = first; block < last; ++block) {
      image_ = block / graph_.blocks;
      if (block == first || block % graph_.blocks == 0) {
        for (State& state : states_) state.rows = {};
      }
      graph_.ranges(block % graph_.blocks, ranges_);
      for (size_t s = 0; s < states_.size(); ++s) {
        if (ranges_[s].empty()) continue;
        if (graph_.stages[s].sums())
          add(s, chunk);
        else
          compute(s);
      }
    }
  }

  void add(size_t s, int64_t chunk) {
    const GraphStage& stage = graph_.stages[s];
    bind(s);
    const Range rows = ranges_[s];
    stage.stage.add(states_[s].args, inAll(stage, rows), sums(s, chunk), summed_[s], args_.own);
    summed_[s] += rows.end - rows.begin;
  }

  // The rows of the range that its windows don't hold yet.
  void compute(size_t s) {
    const GraphStage& stage = graph_.stages[s];
    Range& held = states_[s].rows;
    const Range wanted = ranges_[s];
    const Range missing = held.empty() ? wanted : Range{std::max(held.end, wanted.begin), wanted.end};
    for (int result : stage.results) makeRoom(size_t(result), held, wanted);
    held = {wanted.begin, std::max(held.end, wanted.end)};
    if (missing.empty()) return;
    bind(s);
    stage.stage.run(states_[s].args, states_[s].prepared, inAll(stage, missing), args_.own);
  }

  void makeRoom(size_t t, Range held, Range wanted) {
    const RowTensor& tensor = graph_.tensors[t];
    Window& window = tensors_[t];
    if (tensor.output >= 0) {
      window.base = args_.out<float>(tensor.output);
      return;
    }
    float* memory = reinterpret_cast<float*>(args_.own + tensor.offset);
    if (held.empty()) {
      window.begin = wanted.begin;
    } else if (wanted.end > window.begin + tensor.capacity) {
      const int64_t kept = std::max<int64_t>(0, held.end - wanted.begin);
      if (kept > 0)
        std::memmove(memory, memory + (wanted.begin - window.begin) * tensor.rowSize,
                     size_t(kept * tensor.rowSize) * sizeof(float));
      window.begin = wanted.begin;
    }
    window.base = memory - (image_ * tensor.rows + window.begin) * tensor.rowSize;
  }

  void bind(size_t s) {
    const GraphStage& stage = graph_.stages[s];
    State& state = states_[s];
    for (size_t i = 0; i < stage.inputs.size(); ++i) {
      if (stage.inputs[i].tensor >= 0) state.slots[i] = tensors_[size_t(stage.inputs[i].tensor)].base;
    }
    for (size_t i = 0; !stage.sums() && i < stage.results.size(); ++i)
      state.slots[stage.inputs.size() + i] = tensors_[size_t(stage.results[i])].base;
  }

  Range inAll(const GraphStage& stage, Range rows) const {
    return {image_ * stage.rows + rows.begin, image_ * stage.rows + rows.end};
  }

  const RowGraphRun& graph_;
  const StepArgs& args_;
  int64_t image_ = 0;
  std::vector<State> states_;
  std::vector<Window> tensors_;
  std::vector<Range> ranges_;
  std::vector<int64_t> summed_;  // rows by stage, of this chunk
};

}  // namespace

void RowGraphRun::run(const StepArgs& args) const { Run(*this, args).run(); }

}  // namespace chainrule::ops
