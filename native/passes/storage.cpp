#include "passes/storage.h"

#include <algorithm>

#include "passes/rewrite.h"

namespace chainrule {

TensorType concreteType(const ValueType& type, int64_t batch) {
  return {type.dtype, concrete(type.shape, batch), type.layout};
}

namespace {

class Chooser {
 public:
  Chooser(const Graph& graph, int64_t batch) : graph_(graph), batch_(batch), end_(int(graph.nodes.size())) {
    storage_.of.resize(graph.values.size());
    storage_.commitInPlace.assign(graph.commits.size(), false);
    storage_.outputInPlace.assign(graph.outputs.size(), false);
    uses_.resize(graph.values.size());
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      for (ValueId input : graph.nodes[id].inputs) uses_[input].push_back(int(id));
    }
    leaves_.assign(graph.values.size(), false);
    blocksOf_.resize(graph.variables.size());
    replaced_.assign(graph.variables.size(), false);
    const auto leave = [&](ValueId value) {
      uses_[value].push_back(end_);
      leaves_[value] = true;
    };
    for (ValueId value : graph.outputs) leave(value);
    for (const Commit& commit : graph.commits) leave(commit.value);
  }

  Storage choose() {
    findPrologue();
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) allocate(id);
    joinInputs();
    placeOutputs();
    placeCommits();
    measureLifetimes();
    return std::move(storage_);
  }

 private:
  std::vector<int> targets(const Commit& commit) const {
    return commit.group ? graph_.groups[size_t(commit.target)].variables : std::vector<int>{commit.target};
  }

  const std::vector<int>& groupOf(const Node& node) const {
    return graph_.groups[size_t(node.attrs.integer("group", 0))].variables;
  }

  // Computed once per version of the weights.
  void findPrologue() {
    storage_.inPrologue = fixedNodes(graph_);
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      if (graph_.nodes[id].op->source) storage_.inPrologue[id] = false;
    }
  }

  int addBlock(Space space, uint32_t index, int64_t bytes, int first) {
    storage_.blocks.push_back({space, index, bytes, 0, first, kNever, kNever});
    valuesOf_.emplace_back();
    childrenOf_.emplace_back();
    return int(storage_.blocks.size()) - 1;
  }

  void assign(ValueId value, Storage::Place place) {
    storage_.of[value] = place;
    valuesOf_[size_t(place.block)].push_back(value);
  }

  void allocate(NodeId id) {
    const Node& node = graph_.nodes[id];
    const int64_t bytes = concreteType(graph_.type(node.first), batch_).bytes();
    if (node.op->source) {
      const uint32_t index = uint32_t(node.attrs.integer("index", 0));
      const std::string_view name = node.op->name;
      if (name == "placeholder") fail("INTERNAL", "a placeholder is left in a program");
      const Space space = name == "input" ? Space::input : name == "constant" ? Space::constant : Space::variable;
      const uint32_t first = name == "group" ? uint32_t(groupOf(node)[0]) : index;
      assign(node.first, {addBlock(space, first, bytes, kNever), 0});
      if (space == Space::variable)
        claim(storage_.of[node.first].block, name == "group" ? groupOf(node) : std::vector<int>{int(index)});
      return;
    }
    if (node.op->view) {
      Storage::Place place = storage_.of[node.inputs[0]];
      if (node.op->viewOffset) place.offset += node.op->viewOffset(graph_, node.attrs);
      assign(node.first, place);
      return;
    }
    for (int part = 0; part < node.parts; ++part) {
      const ValueId value = node.first + ValueId(part);
      if (uses_[value].empty() && part > 0) continue;  // parts without users are not produced
      const int64_t partBytes = concreteType(graph_.type(value), batch_).bytes();
      // A value that leaves the step gets memory of its own, which may turn out to be that of an output or a variable.
      const int reused = leaves_[value] ? kNever : reusable(id, value, partBytes);
      if (reused != kNever) {
        assign(value, {reused, 0});
        continue;
      }
      const Space space = storage_.inPrologue[id] ? Space::persistent : Space::arena;
      assign(value, {addBlock(space, 0, partBytes, int(id)), 0});
    }
  }

  // The block of an input of the size of a part that nothing reads after this node.
  int reusable(NodeId id, ValueId part, int64_t bytes) {
    const Node& node = graph_.nodes[id];
    if (!takesPlaceOfInput(part) || storage_.inPrologue[id] || bytes == 0) return kNever;
    for (ValueId input : node.inputs) {
      const Storage::Place place = storage_.of[input];
      if (place.offset != 0) continue;
      const Block& block = storage_.blocks[size_t(place.block)];
      if (block.space != Space::arena || block.bytes != bytes ||
          concreteType(graph_.type(input), batch_).bytes() != bytes)
        continue;
      if (byteSize(graph_.type(input).dtype) != byteSize(graph_.type(part).dtype)) continue;
      if (sharesWithOther(place.block, input, id)) continue;
      return place.block;
    }
    return kNever;
  }

  // Whether another value of the block is read at or after `id`, or was already given to a part of `id`.
  bool sharesWithOther(int block, ValueId except, NodeId id) const {
    for (ValueId value : valuesOf_[size_t(block)]) {
      if (graph_.values[value].node == id) return true;
      for (int use : uses_[value]) {
        if (use > int(id) || (use == int(id) && value != except)) return true;
      }
    }
    return false;
  }

  // Computes the inputs of a pack right in its output.
  void joinInputs() {
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      const Node& node = graph_.nodes[id];
      if (!node.op->inputOffset || storage_.inPrologue[id]) continue;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId value = node.inputs[i];
        const int64_t offset = node.op->inputOffset(graph_, node.attrs, int(i), graph_.type(value).layout);
        const Storage::Place place = storage_.of[value];
        Block& block = storage_.blocks[size_t(place.block)];
        if (offset < 0 || place.offset != 0 || uses_[value].size() != 1 || block.space != Space::arena ||
            block.parent != kNever)
          continue;
        if (block.bytes != concreteType(graph_.type(value), batch_).bytes()) continue;
        block.parent = storage_.of[node.first].block;
        block.offset = offset;
        childrenOf_[size_t(block.parent)].push_back(place.block);
      }
    }
  }

  void placeOutputs() {
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      const Storage::Place place = storage_.of[graph_.outputs[i]];
      Block& block = storage_.blocks[size_t(place.block)];
      const int64_t bytes = concreteType(graph_.type(graph_.outputs[i]), batch_).bytes();
      if (block.space != Space::arena || block.parent != kNever || place.offset != 0 || block.bytes != bytes) continue;
      block.space = Space::output;
      block.index = uint32_t(i);
      storage_.outputInPlace[i] = true;
    }
  }

  void claim(int block, const std::vector<int>& variables) {
    for (int variable : variables) blocksOf_[size_t(variable)].push_back(block);
  }

  // Where memory of these variables is read, and as which value.
  std::vector<std::pair<int, ValueId>> readers(const std::vector<int>& variables) const {
    std::vector<std::pair<int, ValueId>> found;
    for (int variable : variables) {
      for (int block : blocksOf_[size_t(variable)]) {
        for (ValueId value : valuesOf_[size_t(block)]) {
          for (int use : uses_[value]) found.push_back({use, value});
        }
      }
    }
    return found;
  }

  // The value that is written to a block first, or kNone: values of a node are numbered as nodes are.
  ValueId firstWritten(int block) const {
    ValueId first = kNone;
    for (ValueId value : valuesOf_[size_t(block)]) first = std::min(first, value);
    for (int child : childrenOf_[size_t(block)]) first = std::min(first, firstWritten(child));
    return first;
  }
  bool takesPlaceOfInput(ValueId value) const {
    const Node& node = graph_.nodeOf(value);
    return int(value - node.first) < node.op->inPlaceParts;
  }

  // A commit happens in place if its value's memory can be the variable's: nobody reads the old value later, except the
  // very elementwise step that replaces it, at the same index.
  void placeCommits() {
    for (size_t i = 0; i < graph_.commits.size(); ++i) {
      const Commit& commit = graph_.commits[i];
      const std::vector<int> variables = targets(commit);
      const Storage::Place place = storage_.of[commit.value];
      Block& block = storage_.blocks[size_t(place.block)];
      const int64_t bytes = concreteType(graph_.type(commit.value), batch_).bytes();
      bool fits = block.space == Space::arena && block.parent == kNever && place.offset == 0 && block.bytes == bytes;
      for (int variable : variables) fits &= !replaced_[size_t(variable)];
      const ValueId first = firstWritten(place.block);
      const int written = first == kNone ? end_ : int(graph_.values[first].node);
      for (const auto& [position, value] : readers(variables)) {
        if (!fits) break;
        if (position < written) continue;
        fits = position == written && takesPlaceOfInput(first) &&
               concreteType(graph_.type(value), batch_).bytes() == bytes && storage_.of[value].offset == 0;
      }
      if (!fits) continue;
      block.space = Space::variable;
      block.index = uint32_t(variables[0]);
      storage_.commitInPlace[i] = true;
      for (int variable : variables) replaced_[size_t(variable)] = true;
      claim(place.block, variables);
    }
  }

  void measureLifetimes() {
    for (ValueId value = 0; value < graph_.values.size(); ++value) {
      if (storage_.of[value].block == kNever) continue;
      const int node = int(graph_.values[value].node);
      int last = node;
      for (int use : uses_[value]) last = std::max(last, use);
      for (int block = storage_.of[value].block; block != kNever; block = storage_.blocks[size_t(block)].parent) {
        Block& b = storage_.blocks[size_t(block)];
        b.first = b.first == kNever ? node : std::min(b.first, node);
        b.last = std::max(b.last, last);
      }
    }
  }

  const Graph& graph_;
  int64_t batch_;
  int end_;
  Storage storage_;
  std::vector<std::vector<int>> uses_;
  std::vector<bool> leaves_;                    // outputs and committed values
  std::vector<std::vector<ValueId>> valuesOf_;  // by block
  std::vector<std::vector<int>> childrenOf_;    // blocks that are parts of a block
  std::vector<std::vector<int>> blocksOf_;      // by variable: blocks that are its memory
  std::vector<bool> replaced_;                  // variables that some commit updates in place
};

}  // namespace

Storage chooseStorage(const Graph& graph, int64_t batch) { return Chooser(graph, batch).choose(); }

}  // namespace chainrule
