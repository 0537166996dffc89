#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "ir/attrs.h"

namespace chainrule {

class Graph;
struct GradientContext;
struct LowerContext;  // plan/plan.h: a graph only carries the pointer
struct Lowering;

using ValueId = uint32_t;
using NodeId = uint32_t;
constexpr ValueId kNone = ~ValueId(0);

// How a variable of rank >= 2 lies in memory. panel16: [columns / 16][rows][16], columns = the last axis, zero padded.
enum class Layout : uint8_t { rowMajor, panel16 };

struct ValueType {
  DType dtype = DType::f32;
  Shape shape;
  Layout layout = Layout::rowMajor;
  bool operator==(const ValueType&) const = default;
};

struct InferContext {
  const Graph& graph;
  std::string_view op;
  std::span<const ValueType> in;
  const Attrs& attrs;
};

// What an op is. One definition beside its shape rule, gradient and launch; passes ask for properties, never for names.
struct OpDef {
  std::string_view name;
  int minInputs = 0;
  int maxInputs = 0;

  std::vector<ValueType> (*infer)(const InferContext&) = nullptr;
  // One gradient per input, kNone where nothing flows. Null: the op has no derivative and says so.
  std::vector<ValueId> (*gradient)(GradientContext&) = nullptr;
  Lowering (*lower)(const LowerContext&) = nullptr;

  bool elementwise = false;    // output i depends on element i of the broadcast inputs only
  bool view = false;           // the output is the first input's memory under another shape
  bool source = false;         // input, constant, variable: bound, not computed
  bool takesEpilogue = false;  // an island over its output may run inside the op
  bool differentiable = true;  // false: gradients silently stop here (comparisons, argmax, casts to integers)
  int panelInput = -1;         // the input that may arrive in panel16 layout
  bool panelOutput = false;    // can write its output in panel16 layout (attribute outPanel = 1)
  bool needsRows = false;      // picks rows out of its first input: unpacking all of it first would be a waste
};

// Both are defined by ops/registry.cpp, which gathers the lists of native/ops.
const OpDef* findOp(std::string_view name);  // null if unknown
std::vector<std::string_view> opNames();

}  // namespace chainrule
