#include <numeric>

#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/row_sums.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

using cpu::Reduce;

std::vector<bool> reducedAxes(const Attrs& attrs, int rank) {
  std::vector<bool> reduced(size_t(rank), false);
  for (int64_t axis : attrs.integers("axes")) {
    if (axis < 0 || axis >= rank) fail("SHAPE", "axis ", axis, " is out of range for ", rank, " dimensions");
    reduced[size_t(axis)] = true;
  }
  return reduced;
}

template <bool toBool>
std::vector<ValueType> infer(const InferContext& c) {
  const Shape& in = c.in[0].shape;
  const auto reduced = reducedAxes(c.attrs, in.size());
  const DType dtype = c.in[0].dtype;
  if (toBool ? byteSize(dtype) != 1 : dtype != DType::f32 && dtype != DType::i32) {
    fail("DTYPE", "needs ", toBool ? "bool" : "float32 or int32", ", got ", dtypeName(dtype), ". Convert it with cast");
  }
  Shape out;
  for (int i = 0; i < in.size(); ++i) {
    if (!reduced[size_t(i)]) {
      out.push(in[i]);
    } else if (c.attrs.integer("keepDims", 0)) {
      out.push(Dim(1));
    }
  }
  return {typeOf(dtype, out)};
}

std::vector<ValueType> inferMean(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  return infer<false>(c);
}

// The gradient (or output) with the reduced axes back as ones.
Expr kept(GradientContext& c, Expr value) {
  Shape shape = c.in(0).shape();
  const auto reduced = reducedAxes(c.attrs(), shape.size());
  for (int i = 0; i < shape.size(); ++i) {
    if (reduced[size_t(i)]) shape[i] = Dim(1);
  }
  return reshape(value, shape);
}

// The number of reduced elements as a float32 scalar; a batch axis makes it a value of the run.
Expr reducedCount(GradientContext& c) {
  const Shape& shape = c.in(0).shape();
  const auto reduced = reducedAxes(c.attrs(), shape.size());
  Shape axes;
  for (int i = 0; i < shape.size(); ++i) {
    if (reduced[size_t(i)]) axes.push(shape[i]);
  }
  const Dim count = product(axes);
  if (!count.perBatch) return number(c.in(0), double(count.value));
  return cast({&c.graph, c.graph.addOne("batchSize", {}, attrs({{"scale", count.value}}))}, DType::f32);
}

std::vector<ValueId> gradientOfSum(GradientContext& c) { return {broadcastTo(kept(c, c.grad()), c.in(0).shape()).id}; }

std::vector<ValueId> gradientOfMean(GradientContext& c) {
  return {broadcastTo(kept(c, c.grad()) / reducedCount(c), c.in(0).shape()).id};
}

// Ties share the gradient evenly, as in Keras on TensorFlow.
std::vector<ValueId> gradientOfExtreme(GradientContext& c) {
  const Expr hit = cast(apply("equal", {c.in(0), kept(c, c.out())}), DType::f32);
  const Expr ties = reduce("reduceSum", hit, c.attrs().integers("axes"), true);
  return {(hit * (kept(c, c.grad()) / ties)).id};
}

// Products of all other elements by two cumulative products, so that zeros need no division.
std::vector<ValueId> gradientOfProd(GradientContext& c) {
  const Shape shape = c.in(0).shape();
  const auto reduced = reducedAxes(c.attrs(), shape.size());
  std::vector<int64_t> order, back(size_t(shape.size()));
  for (bool pass : {false, true}) {
    for (int i = 0; i < shape.size(); ++i) {
      if (reduced[size_t(i)] == pass) order.push_back(i);
    }
  }
  Shape moved, keptDims, reducedDims;
  for (size_t i = 0; i < order.size(); ++i) {
    back[size_t(order[i])] = int64_t(i);
    moved.push(shape[int(order[i])]);
    (reduced[size_t(order[i])] ? reducedDims : keptDims).push(shape[int(order[i])]);
  }
  Shape flat = keptDims;
  flat.push(product(reducedDims));
  const Expr x = reshape(apply("transpose", {c.in(0)}, attrs({{"perm", order}})), flat);
  const auto others = [&](int64_t reverse) {
    return apply("cumprod", {x},
                 attrs({{"axis", int64_t(keptDims.size())}, {"exclusive", int64_t(1)}, {"reverse", reverse}}));
  };
  const Expr product = reshape(others(0) * others(1), moved);
  const Expr natural = apply("transpose", {product}, attrs({{"perm", back}}));
  return {(natural * kept(c, c.grad())).id};
}

// The input as [outer][n][inner], reduced over n. Shapes where reduced axes don't lie together are transposed first.
struct Canonical {
  int64_t outer = 1, n = 1, inner = 1;
  bool transpose = false;
  cpu::StridedSpace space;
};

Canonical canonical(const Dims& dims, const std::vector<bool>& reduced) {
  Canonical form;
  int runs = 0;
  bool inReduced = false;
  for (int i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (reduced[size_t(i)]) {
      runs += !inReduced;
      form.n *= dims[i];
    } else {
      (runs == 0 ? form.outer : form.inner) *= dims[i];
    }
    inReduced = reduced[size_t(i)];
  }
  if (runs <= 1) return form;
  form.outer *= form.inner;
  form.inner = 1;
  form.transpose = true;
  for (bool pass : {false, true}) {
    for (int i = 0; i < dims.size(); ++i) {
      if (reduced[size_t(i)] != pass) continue;
      form.space.dims[form.space.rank] = dims[i];
      form.space.strides[form.space.rank++] = splitAt(dims, i).inner;
    }
  }
  return form;
}

template <Reduce op, bool mean>
Lowering lower(const LowerContext& c) {
  const TensorType& in = c.in[0];
  const Canonical form = canonical(in.dims, reducedAxes(c.attrs(), in.dims.size()));
  const int64_t chunkRows = form.inner > 1 || form.outer == 1 ? cpu::reduceChunkRows(form.n, form.inner) : form.n;
  const int64_t chunks = form.n == 0 ? 1 : (form.n + chunkRows - 1) / chunkRows;
  const int64_t width = byteSize(in.dtype);
  const int64_t partialBytes = chunks > 1 ? (form.outer * chunks * form.inner * width + 63) / 64 * 64 : 0;
  const float count = float(form.n);
  const auto& k = c.kernels;

  const auto launch = [=, dtype = in.dtype, inner = k.reduceInner, outer = k.reduceOuter,
                       copy = k.copyStrided](const StepArgs& args) {
    const std::byte* x = args.in<std::byte>(0);
    if (form.transpose) {
      std::byte* moved = args.shared + partialBytes;
      const Range range = args.split(form.outer * form.n, 64);
      copy(form.space, width, x, moved, range.begin, range.end);
      args.barrier();
      x = moved;
    }
    std::byte* out = args.out<std::byte>();
    const auto finish = [&](int64_t begin, int64_t end) {
      if constexpr (mean) {
        for (int64_t i = begin; i < end; ++i) reinterpret_cast<float*>(out)[i] /= count;
      }
    };
    if (form.inner == 1 && form.outer > 1) {
      const Range rows = args.split(form.outer);
      inner(op, dtype, x, form.n, out, rows.begin, rows.end);
      finish(rows.begin, rows.end);
      return;
    }
    // [outer][n][inner] block by block; long thin blocks in two levels.
    int64_t n = form.n;
    if (chunks > 1) {
      const Range items = args.split(form.outer * chunks);
      for (int64_t item = items.begin; item < items.end; ++item) {
        const int64_t block = item / chunks, first = item % chunks * chunkRows;
        const std::byte* rows = x + (block * form.n + first) * form.inner * width;
        const int64_t count = std::min(chunkRows, form.n - first);
        std::byte* partial = args.shared + item * form.inner * width;
        if (form.inner == 1) {
          inner(op, dtype, rows, count, partial, 0, 1);
        } else {
          outer(op, dtype, rows, count, form.inner, partial, 0, form.inner);
        }
      }
      args.barrier();
      x = args.shared;
      n = chunks;
    }
    const int64_t strips = (form.inner + 63) / 64;
    const Range items = args.split(form.outer * strips);
    for (int64_t item = items.begin; item < items.end; ++item) {
      const int64_t block = item / strips, begin = item % strips * 64, end = std::min(begin + 64, form.inner);
      std::byte* target = out + block * form.inner * width;
      if (form.inner == 1) {
        inner(op, dtype, x, n, target, 0, 1);
      } else {
        outer(op, dtype, x + block * n * form.inner * width, n, form.inner, target, begin, end);
      }
      finish(block * form.inner + begin, block * form.inner + end);
    }
  };
  Lowering result{.launch = launch, .cost = double(in.count()) * 0.15 + double(form.outer) * 2};
  result.sharedScratch = size_t(partialBytes + (form.transpose ? in.bytes() : 0));
  return result;
}

template <Reduce op, bool mean = false>
constexpr OpDef define(const char* name, std::vector<ValueId> (*gradient)(GradientContext&)) {
  constexpr bool toBool = op == Reduce::any || op == Reduce::all;
  return {.name = name,
          .minInputs = 1,
          .maxInputs = 1,
          .infer = mean ? inferMean : infer<toBool>,
          .gradient = gradient,
          .lower = lower<op, mean>,
          .lowerRows = op == Reduce::sum ? sumRowStage : nullptr,
          .rowRole = op == Reduce::sum ? roleOfSums : nullptr,
          .differentiable = !toBool};
}

const OpDef table[] = {
    define<Reduce::sum>("reduceSum", gradientOfSum),     define<Reduce::sum, true>("reduceMean", gradientOfMean),
    define<Reduce::max>("reduceMax", gradientOfExtreme), define<Reduce::min>("reduceMin", gradientOfExtreme),
    define<Reduce::prod>("reduceProd", gradientOfProd),  define<Reduce::any>("reduceAny", nullptr),
    define<Reduce::all>("reduceAll", nullptr),
};

}  // namespace

std::span<const OpDef> reduceOps() { return table; }

}  // namespace chainrule::ops
