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
struct Node;
struct GradientContext;
struct LowerContext;  // plan/plan.h: a graph only carries the pointer
struct Lowering;
namespace ops {  // likewise: ops/window.h, ops/row_stage.h
struct Window;
struct RowStage;
}  // namespace ops

using ValueId = uint32_t;
using NodeId = uint32_t;
constexpr ValueId kNone = ~ValueId(0);

// Attributes of products: both factors are bfloat16; and the result is, rounded as it is stored. Set by passes, for
// devices.
constexpr std::string_view kHalves = "halves", kHalfResult = "halfResult";

// How a variable of rank >= 2 lies in memory. panel16: base/panels.h, columns = the last axis.
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

// Whether it computes rows of NHWC from rows, sums over them, or neither.
enum class RowRole : uint8_t { none, rows, sums };

// What an op is. One definition beside its shape rule, gradient and launch; passes ask for properties, never for names.
struct OpDef {
  std::string_view name;
  int minInputs = 0;
  int maxInputs = 0;

  std::vector<ValueType> (*infer)(const InferContext&) = nullptr;
  // One gradient per input, kNone where nothing flows. Null: the op has no derivative and says so.
  std::vector<ValueId> (*gradient)(GradientContext&) = nullptr;
  Lowering (*lower)(const LowerContext&) = nullptr;

  bool elementwise = false;  // output i depends on element i of the broadcast inputs only
  bool view = false;         // the output is the first input's memory under another shape
  bool source = false;       // input, constant, variable: bound, not computed
  // Questions about one node, null = no: may an island over its output run inside the op; may the input `panelInput`
  // arrive in panel16 layout; can the output be written in it (attribute outPanel = 1)?
  bool (*takesEpilogue)(const Graph&, const Node&) = nullptr;
  bool (*takesPanel)(const Graph&, const Node&) = nullptr;
  bool (*panelOutput)(const Graph&, const Node&) = nullptr;
  int panelInput = -1;
  // The input, if any, in which the op is linear and whose last axis is that of the output: factors of the output's
  // columns may as well be those of its columns.
  int (*columnsInput)(const Graph&, const Node&) = nullptr;
  // An op whose rows of NHWC need rows of its first input only, those under a window, and can be computed so; and
  // whether a channel of the result needs one channel of that input only.
  ops::Window (*window)(const InferContext&) = nullptr;
  ops::RowStage (*lowerRows)(const LowerContext&) = nullptr;
  bool (*channelwise)(const Graph&, const Node&) = nullptr;
  // What a node may be in a graph of rows (plan/row_graph.h), where `rowInputs` inputs come row by row.
  RowRole (*rowRole)(const Graph&, const Node&) = nullptr;
  int rowInputs = 1;
  std::string (*label)(const Attrs&) = nullptr;  // of a step, for people; null: name and epilogue say it
  bool differentiable = true;  // false: gradients silently stop here (comparisons, argmax, casts to integers)
  // So many parts, the first ones, may be the memory of an input of equal size that dies here: the op has read all of
  // that input that is needed for a number, and for those written later, when it writes the number.
  int inPlaceParts = 0;
  // A view that starts at a byte offset of its input's memory.
  int64_t (*viewOffset)(const Graph&, const Attrs&) = nullptr;
  // An op that joins its inputs in its output's memory: where input i may be computed in place, or -1.
  int64_t (*inputOffset)(const Graph&, const Attrs&, int input, Layout layout) = nullptr;
  // Whether an input may be bfloat16, which the op widens as it reads. Null: none may, and values are cast before.
  bool (*widens)(const Graph&, const Node&, int input) = nullptr;
  // A product whose two first inputs may both be bfloat16 on devices.
  bool (*multipliesHalves)(const Graph&, const Node&) = nullptr;
  bool needsRows = false;  // picks rows out of its first input: unpacking all of it first would be a waste
};

// Both are defined by ops/registry.cpp, which gathers the lists of native/ops.
const OpDef* findOp(std::string_view name);  // null if unknown
std::vector<std::string_view> opNames();

}  // namespace chainrule
