#include <algorithm>
#include <cstring>

#include "cpu/kernel_table.h"
#include "ops/island.h"
#include "passes/passes.h"
#include "passes/storage.h"

namespace chainrule {
namespace {

// Copies at the end of a step: outputs and updates that could not be computed in place.
Launch copyLaunch(int64_t bytes, bool onDevice) {
  if (onDevice) return [bytes](const StepArgs& args) { args.queue->copy(args.out<void>(), args.in<void>(0), bytes); };
  return [bytes](const StepArgs& args) {
    const Range range = args.split(bytes, 4096);
    if (!range.empty())
      std::memcpy(args.out<std::byte>() + range.begin, args.in<std::byte>(0) + range.begin,
                  size_t(range.end - range.begin));
  };
}

// Shared work, in multiples of the threshold of one step, from which on a plan uses the team at all.
constexpr double kWorthATeam = 6;

class Lowerer {
 public:
  Lowerer(const Graph& graph, int64_t batch, const CompileOptions& options)
      : graph_(graph), batch_(batch), options_(options), storage_(chooseStorage(graph, batch)) {}

  Plan lower() {
    plan_.batch = batch_;
    for (const ValueType& type : graph_.inputTypes) plan_.inputs.push_back(concreteType(type, batch_));
    for (ValueId output : graph_.outputs) plan_.outputs.push_back(concreteType(graph_.type(output), batch_));
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      const Node& node = graph_.nodes[id];
      if (!node.op->source && !node.op->view) lowerNode(id);
    }
    assignMemory();
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      if (lowered_[id]) emit(id);
    }
    plan_.prologueOfAny = prologueIgnoresBatch();
    copyOutputsAndUpdates();
    for (const Slot& slot : plan_.slots) {
      if (slot.space != Space::arena && slot.space != Space::persistent)
        plan_.boundSlots.push_back(uint32_t(&slot - plan_.slots.data()));
    }
    double shared = 0;
    for (const Step& step : plan_.body) {
      plan_.cost += step.cost;
      if (step.parallel) shared += step.cost;
    }
    // Meeting costs more than it saves when only a little of the plan is worth sharing.
    plan_.parallel = shared > 0 && shared >= kWorthATeam * options_.parallelThreshold;
    if (!plan_.parallel) {
      for (Step& step : plan_.body) step.parallel = false;
    }
    return std::move(plan_);
  }

 private:
  void lowerNode(NodeId id) {
    const Node& node = graph_.nodes[id];
    if (!options_.device && !node.op->lower) fail("INTERNAL", std::string(node.op->name), " has no CPU launch");
    std::vector<TensorType> in, out;
    for (ValueId input : node.inputs) in.push_back(concreteType(graph_.type(input), batch_));
    bool used[64];
    if (node.parts > 64) fail("INTERNAL", "a node with more than 64 parts");
    for (int part = 0; part < node.parts; ++part) {
      out.push_back(concreteType(graph_.type(node.first + ValueId(part)), batch_));
      used[part] = storage_.of[node.first + ValueId(part)].block != kNever;
    }
    const LowerContext context{
        graph_, node, batch_, in, out, cpu::kernels(), {used, node.parts}, options_.precision, options_.autotune};
    lowered_[id] = std::make_unique<Lowering>(options_.device ? lowerOnDevice(context) : node.op->lower(context));
    plan_.memberScratch = std::max(plan_.memberScratch, int64_t(lowered_[id]->memberScratch));
  }

  bool prologueIgnoresBatch() const {
    const auto ignores = [&](ValueId value) {
      const Shape& shape = graph_.type(value).shape;
      return std::none_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.perBatch; });
    };
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      const Node& node = graph_.nodes[id];
      if (!storage_.inPrologue[id]) continue;
      if (node.inputs.empty() || !ignores(node.first)) return false;  // without inputs it may be N itself
      if (!std::all_of(node.inputs.begin(), node.inputs.end(), ignores)) return false;
    }
    return true;
  }

  // A device knows elementwise ops as islands only.
  Lowering lowerOnDevice(const LowerContext& context) {
    Lowering lowering;
    if (!context.node.op->elementwise) {
      const OpDef& op = *context.node.op;
      for (size_t i = 0; i < context.in.size(); ++i) {
        if (i < 2 && context.node.attrs.integer(kHalves, 0)) continue;
        if (context.in[i].dtype == DType::bf16 && op.widens && op.widens(graph_, context.node, int(i)))
          fail("UNSUPPORTED", std::string(op.name), " takes bfloat16 on the CPU only. Cast it to float32");
      }
      options_.device->lower(context, lowering).orThrow();
      return lowering;
    }
    const Node island = ops::islandNode(graph_, context.node);
    options_.device
        ->lower({context.graph, island, context.batch, context.in, context.out, context.kernels, context.used,
                 context.precision},
                lowering)
        .orThrow();
    return lowering;
  }

  void assignMemory() {
    std::vector<Lifetime> arena;
    std::vector<int64_t*> targets;
    scratch_.assign(graph_.nodes.size(), 0);
    const auto place = [&](Space space, int64_t bytes, int first, int last, int64_t* target) {
      if (space == Space::persistent) {
        *target = plan_.persistentBytes;
        plan_.persistentBytes += (bytes + 63) / 64 * 64;
      } else {
        arena.push_back({bytes, first, last, 0});
        targets.push_back(target);
      }
    };
    for (Block& block : storage_.blocks) {
      if (block.parent != kNever || (block.space != Space::arena && block.space != Space::persistent)) continue;
      place(block.space, block.bytes, block.first, block.last, &block.offset);
    }
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      if (!lowered_[id] || lowered_[id]->sharedScratch == 0) continue;
      const Space space = storage_.inPrologue[id] ? Space::persistent : Space::arena;
      place(space, int64_t(lowered_[id]->sharedScratch), int(id), int(id), &scratch_[id]);
    }
    // Copies of values whose memory an update overwrites before it has been read live at the very end.
    for (size_t i = 0; i < graph_.commits.size(); ++i) {
      if (!storage_.commitInPlace[i]) {
        commitCopies_.push_back({i, 0});
      }
    }
    const int end = int(graph_.nodes.size());
    for (auto& [commit, offset] : commitCopies_) {
      place(Space::arena, concreteType(graph_.type(graph_.commits[commit].value), batch_).bytes(), end, end, &offset);
    }
    plan_.arenaBytes = planMemory(arena);
    for (size_t i = 0; i < arena.size(); ++i) *targets[i] = arena[i].offset;
  }

  uint32_t slot(Slot wanted) {
    const size_t index = size_t(std::find(plan_.slots.begin(), plan_.slots.end(), wanted) - plan_.slots.begin());
    if (index == plan_.slots.size()) plan_.slots.push_back(wanted);
    return uint32_t(index);
  }

  uint32_t slotOf(ValueId value) {
    if (storage_.of[value].block == kNever) return slot({Space::arena, 0, 0, 0});  // a part nobody reads: never touched
    const Storage::Place root = storage_.root(storage_.of[value]);
    const Block& block = storage_.blocks[size_t(root.block)];
    const bool owned = block.space == Space::arena || block.space == Space::persistent;
    const int64_t bytes = concreteType(graph_.type(value), batch_).bytes();
    return slot({block.space, block.index, root.offset + (owned ? block.offset : 0), bytes});
  }

  void emit(NodeId id) {
    const Node& node = graph_.nodes[id];
    Lowering& lowering = *lowered_[id];
    Step step;
    step.name = labelOf(*node.op, node.attrs);
    if (!lowering.way.empty()) step.name += " [" + lowering.way + "]";
    step.scope = node.origin.scope;
    for (ValueId input : node.inputs) step.operands.push_back(slotOf(input));
    step.inputs = int(node.inputs.size());
    for (int part = 0; part < node.parts; ++part) step.operands.push_back(slotOf(node.first + ValueId(part)));
    step.bytes = bytesOf(node);
    step.launch = std::move(lowering.launch);
    step.cost = lowering.cost;
    step.flop = lowering.flop;
    step.indexLimit = lowering.indexLimit;
    step.indexRowSize = lowering.indexRowSize;
    step.parallel = !options_.device && !lowering.serial && lowering.cost >= options_.parallelThreshold;
    const bool prologue = storage_.inPrologue[id];
    step.sharedScratch =
        slot({prologue ? Space::persistent : Space::arena, 0, scratch_[id], int64_t(lowering.sharedScratch)});
    (prologue ? plan_.prologue : plan_.body).push_back(std::move(step));
  }

  // Read and written: operands in memory, once each; what is computed in place counts twice.
  int64_t bytesOf(const Node& node) const {
    int64_t bytes = 0;
    const auto count = [&](ValueId value) {
      if (storage_.of[value].block != kNever) bytes += concreteType(graph_.type(value), batch_).bytes();
    };
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (std::find(node.inputs.begin(), node.inputs.begin() + int64_t(i), node.inputs[i]) ==
          node.inputs.begin() + int64_t(i))
        count(node.inputs[i]);
    }
    for (int part = 0; part < node.parts; ++part) count(node.first + ValueId(part));
    return bytes;
  }

  void copyStep(std::string name, uint32_t from, uint32_t to, int64_t bytes) {
    Step step;
    step.name = std::move(name);
    step.operands = {from, to};
    step.inputs = 1;
    step.launch = copyLaunch(bytes, options_.device);
    step.sharedScratch = slot({Space::arena, 0, 0, 0});
    step.cost = double(bytes) * 0.05;
    step.bytes = 2 * bytes;
    step.parallel = !options_.device && step.cost >= options_.parallelThreshold;
    plan_.body.push_back(std::move(step));
  }

  void copyOutputsAndUpdates() {
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      if (storage_.outputInPlace[i]) continue;
      const int64_t bytes = plan_.outputs[i].bytes();
      copyStep("copy output", slotOf(graph_.outputs[i]), slot({Space::output, uint32_t(i), 0, bytes}), bytes);
    }
    // Two variables may take each other's values: whatever lies in a variable is first copied out of it.
    std::vector<uint32_t> sources;
    for (const auto& [commit, offset] : commitCopies_) {
      const ValueId value = graph_.commits[commit].value;
      const int64_t bytes = concreteType(graph_.type(value), batch_).bytes();
      sources.push_back(slotOf(value));
      if (plan_.slots[sources.back()].space != Space::variable) continue;
      const uint32_t copy = slot({Space::arena, 0, offset, bytes});
      copyStep("copy update", sources.back(), copy, bytes);
      sources.back() = copy;
    }
    for (size_t i = 0; i < commitCopies_.size(); ++i) {
      const Commit& commit = graph_.commits[commitCopies_[i].first];
      const int first = commit.group ? graph_.groups[size_t(commit.target)].variables[0] : commit.target;
      const int64_t bytes = concreteType(graph_.type(commit.value), batch_).bytes();
      copyStep("update", sources[i], slot({Space::variable, uint32_t(first), 0, bytes}), bytes);
    }
  }

  const Graph& graph_;
  const int64_t batch_;
  const CompileOptions& options_;
  Storage storage_;
  Plan plan_;
  std::vector<std::unique_ptr<Lowering>> lowered_ = std::vector<std::unique_ptr<Lowering>>(graph_.nodes.size());
  std::vector<int64_t> scratch_;  // by node
  std::vector<std::pair<size_t, int64_t>> commitCopies_;
};

}  // namespace

Plan lower(const Graph& graph, int64_t batch, const CompileOptions& options) {
  return Lowerer(graph, batch, options).lower();
}

}  // namespace chainrule
