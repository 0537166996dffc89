#include "plan/epilogue.h"

#include "base/pieces.h"
#include "cuda/ops/island.h"

// Elementwise programs behind the result of another op.

namespace chainrule::cuda {

Epilogue::Epilogue(const LowerContext& c, int opInputs) {
  if (!c.attrs().extra) return;
  code_ = &islandAttr(c.attrs());
  dims_ = c.out[0].dims;
  rounded_ = c.out[0].dtype == DType::bf16;
  types_ = {{DType::f32, dims_}};
  types_.insert(types_.end(), c.in.begin() + opInputs, c.in.end());
  for (int i = opInputs; i < int(c.in.size()); ++i) inputs_.push_back(i);
  island_ = std::make_shared<IslandLaunch>(*code_, dims_, types_);
}

OwnEpilogue Epilogue::take(bool gates) {
  OwnEpilogue own;
  if (!island_) return own;
  EpilogueParts parts = takeApart(*code_, types_, dims_, rounded_);
  const auto taken = [&](int input, bool& half) {
    half = types_[size_t(input)].dtype == DType::bf16;
    types_.erase(types_.begin() + input);
    const int ofNode = inputs_[size_t(input - 1)];
    inputs_.erase(inputs_.begin() + input - 1);
    return ofNode;
  };
  own.relu = parts.relu;
  if (parts.biasInput >= 0) own.biasInput = taken(parts.biasInput, own.halfBias);
  if (gates) {
    IslandCode rest = parts.rest;
    const EpilogueOperand operand = takeOperand(rest, types_, dims_, rounded_);
    if (operand.input >= 0 && !operand.adds) {
      own.gateInput = taken(operand.input, own.halfGate);
      parts.rest = std::move(rest);
    }
  }
  const std::vector<IslandCode::Instruction>& rest = parts.rest.instructions;
  own.rounds = rounded_ && rest.size() == 1 && rest[0].opcode == Opcode::castF32ToBf16;
  if (own.rounds) rounded_ = false;
  island_ = rest.empty() || own.rounds ? nullptr : std::make_shared<IslandLaunch>(parts.rest, dims_, types_);
  return own;
}

size_t Epilogue::place(size_t scratchBytes) {
  if (!rounded_) return scratchBytes;
  Pieces<256> scratch;
  scratch.add(int64_t(scratchBytes));
  resultAt_ = scratch.add(elementCount(dims_) * int64_t(sizeof(float)));
  return size_t(scratch.size);
}

void* Epilogue::result(const StepArgs& args) const {
  return resultAt_ < 0 ? args.out<void>() : args.shared + resultAt_;
}

void Epilogue::run(const StepArgs& args) const {
  if (!island_) return;
  const void* in[kIslandInputs] = {result(args)};
  void* out[1] = {args.out<void>()};
  for (size_t i = 0; i < inputs_.size(); ++i) in[1 + i] = args.in<void>(inputs_[i]);
  island_->run(queueOf(args), in, out);
}

}  // namespace chainrule::cuda
