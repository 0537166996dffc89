#include <algorithm>
#include <optional>

#include "ir/expr.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

// Small groups of ops that a cheaper group equals.

namespace chainrule {
namespace {

class Patterns {
 public:
  explicit Patterns(const Graph& graph) : rewrite_(graph), made_(rewrite_.graph()), uses_(useCounts(graph)) {
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      const std::string_view op = graph.nodes[id].op->name;
      if (op == "reduceMean" || op == "reduceSum") reductions_.push_back(id);
    }
  }

  Graph apply() {
    const Graph& graph = rewrite_.old();
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      const Node& node = graph.nodes[id];
      const std::vector<ValueId> in = rewrite_.mappedInputs(node);
      if (const auto found = cheaper(node, in)) {
        rewrite_.map(node.first, *found);
      } else {
        rewrite_.copy(id);
      }
    }
    return rewrite_.finish();
  }

 private:
  std::optional<ValueId> cheaper(const Node& node, const std::vector<ValueId>& in) {
    const std::string_view op = node.op->name;
    if (op == "whenPositive") return reluBeforePool(node, in);
    if (op == "add") return biasBeforeReshape(node, in);
    if (op == "conv2d" || op == "conv2dFilter" || op == "maxPool") return paddedWindows(node, in);
    if (op == "gatherGradient") return gradientOfBag(node, in);
    if (op == "reduceMean" || op == "reduceSum") {
      const auto pooled = op == "reduceSum" ? sumOfPoolGradient(node, in) : std::nullopt;
      const auto rows = pooled ? pooled : bag(node, in);
      return rows ? rows : simplerSum(node, in);
    }
    return std::nullopt;
  }

  // relu's gradient behind that of a max pool of the relu: the maxima are positive where their sources are, and there
  // are fewer of them.
  std::optional<ValueId> reluBeforePool(const Node& node, const std::vector<ValueId>& in) {
    const Node& spread = made_.nodeOf(in[1]);
    if (spread.op->name != "maxPoolGradient" || !once(node.inputs[1])) return std::nullopt;
    const Node& pool = made_.nodeOf(spread.inputs[1]);
    if (pool.op->name != "maxPool" || pool.inputs[0] != in[0]) return std::nullopt;
    const ValueId where = spread.inputs[1], maxima = pool.first, gradient = spread.inputs[0];
    const Attrs attrs = spread.attrs;
    const ValueId kept = add("whenPositive", {maxima, gradient}, {}, node.origin);
    return add("maxPoolGradient", {kept, where}, attrs, node.origin);
  }

  // Zeros around the images that windows slide over are a padding of the windows; for a maximum only if nothing is
  // less.
  std::optional<ValueId> paddedWindows(const Node& node, const std::vector<ValueId>& in) {
    const Node& pad = made_.nodeOf(in[0]);
    if (pad.op->name != "pad" || pad.attrs.real("value", 0) != 0) return std::nullopt;
    const bool pool = node.op->name == "maxPool", gradient = node.op->name == "conv2dFilter";
    if (pool && (made_.nodeOf(pad.inputs[0]).op->name != "relu" || uses_[node.first + 1] > 0)) return std::nullopt;
    const std::vector<int64_t> size = node.attrs.integers("size"), dilations = node.attrs.integers("dilations", {1, 1}),
                               around = pad.attrs.integers("padding");
    const Shape& filter = pool ? Shape{} : gradient ? rewrite_.old().type(node.first).shape : made_.type(in[1]).shape;
    std::vector<int64_t> padding = node.attrs.integers("padding", {0, 0, 0, 0});
    if (around.size() != 8 || around[0] + around[1] + around[6] + around[7] > 0) return std::nullopt;
    for (size_t side = 0; side < 4; ++side) {
      const size_t axis = side / 2;
      padding[side] += around[2 + side];
      // Every window still sees a pixel.
      if (padding[side] > ((pool ? size[axis] : filter[int(axis)].value) - 1) * dilations[axis]) return std::nullopt;
    }
    Attrs attrs = node.attrs;
    attrs.set("padding", padding);
    std::vector<ValueId> inputs = in;
    inputs[0] = pad.inputs[0];
    return add(node.op->name, std::move(inputs), std::move(attrs), node.origin);
  }

  // A bias over all axes that a reshape makes of the last one, as attention heads have: added before, it is an epilogue
  // of what comes before the reshape.
  std::optional<ValueId> biasBeforeReshape(const Node& node, const std::vector<ValueId>& in) {
    const Shape target = rewrite_.old().type(node.first).shape;
    for (size_t side : {size_t(0), size_t(1)}) {
      const Node& split = made_.nodeOf(in[side]);
      if (split.op->name != "reshape" || !once(node.inputs[side]) || !(made_.type(in[side]).shape == target)) continue;
      const ValueId source = split.inputs[0], bias = in[1 - side];
      const Node& producer = made_.nodeOf(source);
      const Shape narrow = made_.type(source).shape, axes = made_.type(bias).shape;
      if (axes.size() < 2 || narrow.empty() || !oldUsedOnce(node.inputs[side])) continue;
      if (!producer.op->takesEpilogue || !producer.op->takesEpilogue(made_, producer)) continue;
      int64_t columns = 1;
      bool same = true;
      for (int axis = 0; axis < axes.size(); ++axis) {
        same &= axes[axis] == target[target.size() - axes.size() + axis] && !axes[axis].perBatch;
        columns *= axes[axis].value;
      }
      if (!same || !(narrow.back() == Dim(columns))) continue;
      const ValueId flat = add("reshape", {bias}, attrs({{"shape", std::vector<int64_t>{columns}}}), node.origin);
      const ValueId sum = add("add", {source, flat}, {}, node.origin);
      return add("reshape", {sum}, attrs({{"shape", encoded(target)}}), node.origin);
    }
    return std::nullopt;
  }

  // Every gradient of a max pool goes to one place of its own image and channel, so sums over whole images are those of
  // the gradients.
  std::optional<ValueId> sumOfPoolGradient(const Node& node, const std::vector<ValueId>& in) {
    const Node& spread = made_.nodeOf(in[0]);
    if (spread.op->name != "maxPoolGradient") return std::nullopt;
    int images = 0;
    for (int64_t axis : node.attrs.integers("axes")) images += axis == 1 || axis == 2;
    if (images != 2) return std::nullopt;
    return add("reduceSum", {spread.inputs[0]}, node.attrs, node.origin);
  }

  // Rows of an embedding that all get the gradient of their list, as after a sum or mean over it.
  std::optional<ValueId> gradientOfBag(const Node& node, const std::vector<ValueId>& in) {
    const Node& stretch = made_.nodeOf(in[0]);
    if (stretch.op->name != "broadcastTo") return std::nullopt;
    const Shape &indices = made_.type(in[1]).shape, &wide = made_.type(in[0]).shape,
                &narrow = made_.type(stretch.inputs[0]).shape;
    const int list = indices.size() - 1;
    if (list < 0 || narrow.size() != wide.size() || indices[list].perBatch) return std::nullopt;
    for (int axis = 0; axis < wide.size(); ++axis) {
      if (!(narrow[axis] == (axis == list ? Dim(1) : wide[axis]))) return std::nullopt;
    }
    Attrs attrs = node.attrs;
    attrs.set("group", indices[list].value);
    return add("gatherGradient", {stretch.inputs[0], in[1]}, attrs, node.origin);
  }

  std::optional<ValueId> bag(const Node& node, const std::vector<ValueId>& in) {
    const Node& rows = made_.nodeOf(in[0]);
    const std::vector<int64_t> axes = node.attrs.integers("axes");
    if (rows.op->name != "gather" || !once(node.inputs[0]) || axes.size() != 1) return std::nullopt;
    const ValueId table = rows.inputs[0], ids = rows.inputs[1];
    const Shape& indices = made_.type(ids).shape;
    const int list = indices.size() - 1;
    if (list < 1 || axes[0] != list || indices[list].perBatch || indices[list].value == 0 ||
        made_.type(table).dtype != DType::f32 || made_.type(table).shape.size() != 2 ||
        made_.type(table).shape[1].value < 2)
      return std::nullopt;
    Attrs attrs;
    attrs.set("mean", int64_t(node.op->name == "reduceMean"));
    const ValueId flat = add("gatherReduce", {table, ids}, attrs, rows.origin);
    const Shape& shape = rewrite_.old().type(node.first).shape;
    if (made_.type(flat).shape == shape) return flat;
    Attrs target;
    target.set("shape", encoded(shape));
    return add("reshape", {flat}, target, node.origin);
  }

  // What is the same for all summands goes behind the sum where that of the terms alone is needed anyway, as for the
  // gradients of a batch norm. Elsewhere it might be there to keep the sum within float32.
  std::optional<ValueId> simplerSum(const Node& node, const std::vector<ValueId>& in) {
    const ValueType type = rewrite_.old().type(node.first);
    if (type.dtype != DType::f32) return std::nullopt;
    const Sum sum{node.op->name, node.attrs.integers("axes"), node.origin};
    for (size_t i = 0; i < sum.axes.size();
         ++i) {  // of rows: only there are such sums dear; a mean of none is no number
      if (!sum.over(int(i)) || made_.type(in[0]).shape[int(i)] == Dim(0)) return std::nullopt;
    }
    const auto flat = withoutFactors(sum, in[0]);
    const bool keeps = node.attrs.integer("keepDims", 0) != 0;
    if (!flat && !keeps) return std::nullopt;
    const ValueId result = flat ? *flat : plain(sum, in[0]);
    return keeps ? add("reshape", {result}, attrs({{"shape", encoded(type.shape)}}), node.origin) : result;
  }

  struct Sum {
    std::string_view op;
    std::vector<int64_t> axes;
    Origin origin;
    bool over(int axis) const { return std::find(axes.begin(), axes.end(), int64_t(axis)) != axes.end(); }
  };
  ValueId plain(const Sum& sum, ValueId value) {
    return add(sum.op, {value}, attrs({{"axes", sum.axes}, {"keepDims", int64_t(0)}}), sum.origin);
  }
  std::optional<ValueId> simplest(const Sum& sum, ValueId value) {
    const auto simpler = withoutFactors(sum, value);
    return simpler || !isSummed(sum, value) ? simpler : std::optional(plain(sum, value));
  }
  // Whether the program has this sum of a value, here or later.
  bool isSummed(const Sum& sum, ValueId value) const {
    return std::any_of(reductions_.begin(), reductions_.end(), [&](NodeId id) {
      const Node& node = rewrite_.old().nodes[id];
      return node.op->name == sum.op && node.attrs.integers("axes") == sum.axes && rewrite_.has(node.inputs[0]) &&
             rewrite_.mapped(node.inputs[0]) == value;
    });
  }
  std::optional<ValueId> withoutFactors(const Sum& sum, ValueId value) {
    const Node producer = made_.nodeOf(value);
    const std::string_view op = producer.op->name;
    const Shape shape = made_.type(value).shape;
    if (op == "neg") {
      const auto terms = simplest(sum, producer.inputs[0]);
      return terms ? std::optional(add("neg", {*terms}, {}, sum.origin)) : std::nullopt;
    }
    if (op != "mul" && op != "div" && op != "add" && op != "sub") return std::nullopt;
    const ValueId a = producer.inputs[0], b = producer.inputs[1];
    if (op == "add" && a == b) {
      const auto half = simplest(sum, a);
      return half ? std::optional(add("add", {*half, *half}, {}, sum.origin)) : std::nullopt;
    }
    if (op == "sub") {
      const ValueId mean = meanOfDeviations(made_, producer, sum.axes);
      return mean == kNone ? std::nullopt : std::optional(zeros(sum, shape, mean));
    }
    for (const bool second : {true, false}) {
      const ValueId factor = second ? b : a, terms = second ? a : b;
      if (op == "add" || (op == "div" && !second) || !(made_.type(terms).shape == shape)) continue;
      if (!isSameForAll(sum, factor, shape)) continue;
      const auto plain = simplest(sum, terms);
      if (plain) return add(op, {*plain, withoutAxes(sum, factor, shape)}, {}, sum.origin);
    }
    return std::nullopt;
  }
  bool isSameForAll(const Sum& sum, ValueId factor, const Shape& space) const {
    const Shape& shape = made_.type(factor).shape;
    const int missing = space.size() - shape.size();
    for (int axis = missing; axis < space.size(); ++axis) {
      if (sum.over(axis) && !(shape[axis - missing] == Dim(1))) return false;
    }
    return true;
  }
  ValueId withoutAxes(const Sum& sum, ValueId factor, const Shape& space) {
    const Shape shape = made_.type(factor).shape;
    const int missing = space.size() - shape.size();
    Shape rest;
    for (int axis = 0; axis < space.size(); ++axis) {
      if (!sum.over(axis)) rest.push(axis >= missing ? shape[axis - missing] : Dim(1));
    }
    if (shape.empty() || shape == rest) return factor;
    return add("reshape", {factor}, attrs({{"shape", encoded(rest)}}), sum.origin);
  }
  // Deviations from a mean have the sum 0, or NaN where the mean has no number.
  ValueId zeros(const Sum& sum, const Shape& space, ValueId mean) {
    Shape rest;
    for (int axis = 0; axis < space.size(); ++axis) {
      if (!sum.over(axis)) rest.push(space[axis]);
    }
    if (!(made_.type(mean).shape == rest)) mean = add("reshape", {mean}, attrs({{"shape", encoded(rest)}}), sum.origin);
    return add("mul", {mean, made_.scalar(0)}, {}, sum.origin);
  }

  bool once(ValueId old) const { return uses_[old] == 1; }
  // Whether what a reshape reads is read by nothing else.
  bool oldUsedOnce(ValueId reshaped) const {
    const Node& node = rewrite_.old().nodeOf(reshaped);
    return node.op->name == "reshape" && once(node.inputs[0]);
  }
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs, Origin origin) {
    const NodeId id = made_.addNode(*findOp(op), std::move(inputs), std::move(attrs), std::move(origin));
    return made_.nodes[id].first;
  }

  Rewrite rewrite_;
  Graph& made_;
  const std::vector<int> uses_;
  std::vector<NodeId> reductions_;
};

}  // namespace

Graph applyPatterns(const Graph& graph) { return Patterns(graph).apply(); }

}  // namespace chainrule
