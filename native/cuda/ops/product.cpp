#include "cuda/ops/product.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include "cuda/autotune/autotune.h"
#include "cuda/devices.h"
#include "cuda/libraries/lt_product.h"

namespace chainrule::cuda {
namespace {

using Library = std::shared_ptr<const LtProduct>;

// A product with what its launch does of an epilogue, and the rest.
struct Ended {
  Gemm gemm;
  OwnEpilogue own;
  Epilogue rest;
};

Lowering launchOf(const Ended& product, Factors factors, const GemmPlan& plan, const Library& library = nullptr) {
  Epilogue rest = product.rest;
  Lowering lowering;
  const Gemm& gemm = product.gemm;
  lowering.flop = 2.0 * double(gemm.batchCount) * double(gemm.m) * double(gemm.n) * double(gemm.k);
  // An operand that is a part of something may start anywhere: then the kernels here do it after all.
  lowering.sharedScratch = rest.place(size_t(std::max(plan.scratchBytes, library ? library->scratchBytes() : 0)));
  lowering.launch = [gemm, own = product.own, rest, factors, plan, library](const StepArgs& args) {
    Gemm now = gemm;
    now.a.data = args.in<void>(0);
    now.b.data = args.in<void>(1);
    now.c = rest.result(args);
    now.bias = own.bias(args);
    now.gate = own.gate(args);
    if (library && library->takes(now)) {
      library->run(queueOf(args).stream(), now, args.shared);
    } else {
      runGemm(queueOf(args), now, plan, args.shared, factors);
    }
    rest.run(args);
  };
  return lowering;
}

std::string sizesText(const GemmOperand& operand) {
  return std::to_string(operand.x) + "," + std::to_string(operand.inner);
}

std::string hexOf(const LtAlgorithm& algorithm) {
  std::string text;
  for (const uint64_t word : algorithm.data) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(word));
    text += digits;
  }
  return text;
}
std::optional<LtAlgorithm> algorithmFrom(std::string_view text) {
  LtAlgorithm algorithm = {};
  if (text.size() != 16 * std::size(algorithm.data)) return std::nullopt;
  for (uint64_t& word : algorithm.data) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + 16, word, 16);
    if (error != std::errc() || end != text.data() + 16) return std::nullopt;
    text.remove_prefix(16);
  }
  return algorithm;
}

// A node's product and how it can be computed: with the epilogue in the kernel or, by a library that does not know it
// so, apart from it.
class Product {
 public:
  Product(const LowerContext& node, const Gemm& gemm, const Epilogue& epilogue)
      : node_(node), factors_(factorsOf(node)), apart_{gemm, {}, epilogue}, library_(librariesOf(node).cublasLt()) {
    joined_.rest = epilogue;
    joined_.own = joined_.rest.take(true);
    joined_.gemm = withEpilogue(gemm, joined_.own);
  }

  Lowering byRule() const {
    const GemmPlan plan = planGemm(joined_.gemm);
    if (libraryKnows(joined_)) {
      if (const Library library = LtProduct::make(*library_, joined_.gemm, factors_, hasBias(joined_)))
        return launchOf(joined_, factors_, plan, library);
    }
    const OwnEpilogue& own = joined_.own;
    if (library_ && (own.halfBias || own.rounds || own.gateInput >= 0)) {
      if (const Library library = LtProduct::make(*library_, apart_.gemm, factors_, false))
        return launchOf(apart_, factors_, plan, library);
    }
    return launchOf(joined_, factors_, plan);
  }

  Ways ways() const {
    return {.key = key(),
            .library = library_ ? "cuBLASLt " + library_->library.version : "no cuBLASLt",
            .names = [this] { return names(); },
            .make = [this](std::string_view name) { return make(name); },
            .byRule = [this] { return byRule(); }};
  }

 private:
  static constexpr std::string_view kLibrary = "cuBLASLt-", kApart = "cuBLASLt-apart-";

  static bool hasBias(const Ended& product) { return product.own.biasInput >= 0; }
  bool libraryKnows(const Ended& product) const { return library_ && product.own.gateInput < 0; }

  std::vector<std::string> names() const {
    std::vector<std::string> names = tileNames(node_, joined_.gemm, false);
    const auto add = [&](std::string_view prefix, const Ended& product) {
      if (!libraryKnows(product)) return false;
      int number = 0;
      for (const LtAlgorithm& algorithm : LtProduct::algorithms(*library_, product.gemm, factors_, hasBias(product)))
        names.push_back(std::string(prefix) + std::to_string(++number) + ":" + hexOf(algorithm));
      return number > 0;
    };
    if (!add(kLibrary, joined_)) add(kApart, apart_);
    return names;
  }

  std::optional<Lowering> make(std::string_view name) const {
    if (const auto plan = planNamed(name, node_, joined_.gemm, false)) return launchOf(joined_, factors_, *plan);
    const Ended& product = name.starts_with(kApart) ? apart_ : joined_;
    const size_t colon = name.find(':');
    if (!name.starts_with(kLibrary) || colon == std::string_view::npos || !libraryKnows(product)) return std::nullopt;
    const auto algorithm = algorithmFrom(name.substr(colon + 1));
    if (!algorithm) return std::nullopt;
    const Library library = LtProduct::make(*library_, product.gemm, factors_, hasBias(product), *algorithm);
    if (!library) return std::nullopt;
    return launchOf(product, factors_, planGemm(joined_.gemm), library);
  }

  std::string key() const {
    const Gemm& g = joined_.gemm;
    std::string text = "product " + nameOf(factors_) + " " + std::to_string(g.m) + "x" + std::to_string(g.n) + "x" +
                       std::to_string(g.k) + ", strides " + sizesText(g.a) + " " + sizesText(g.b) + " " +
                       std::to_string(g.cRow);
    for (int axis = 0; axis < kGemmBatchRank; ++axis) {
      if (g.batchDims[axis] == 1) continue;
      text += ", " + std::to_string(g.batchDims[axis]) + " times " + std::to_string(g.a.batch[axis]) + " " +
              std::to_string(g.b.batch[axis]) + " " + std::to_string(g.cBatch[axis]);
    }
    return text + nameOf(joined_.own);
  }

  const LowerContext& node_;
  const Factors factors_;
  const Ended apart_;
  Ended joined_;
  const LtDevice* const library_;  // null: not used
};

}  // namespace

Gemm withEpilogue(Gemm gemm, const OwnEpilogue& own) {
  gemm.halfBias = own.halfBias;
  gemm.halfGate = own.halfGate;
  gemm.relu = own.relu;
  gemm.halfC = own.rounds;
  return gemm;
}

Lowering lowerProduct(const LowerContext& node, const Gemm& gemm, const Epilogue& epilogue) {
  const Product product(node, gemm, epilogue);
  return node.autotune.empty() ? product.byRule() : lowerFastest(node, product.ways());
}

std::vector<std::string> tileNames(const LowerContext& node, const Gemm& gemm, bool windowed) {
  std::vector<std::string> names;
  for (const Tile tile : tilesFor(gemm, factorsOf(node), windowed, mostSharedOf(node))) names.push_back(nameOf(tile));
  return names;
}

std::optional<GemmPlan> planNamed(std::string_view name, const LowerContext& node, const Gemm& gemm, bool windowed) {
  for (const Tile tile : tilesFor(gemm, factorsOf(node), windowed, mostSharedOf(node))) {
    if (nameOf(tile) == name) return planGemm(gemm, tile);
  }
  return std::nullopt;
}

std::string nameOf(Factors factors) {
  return factors == Factors::exact ? "float32" : factors == Factors::tf32 ? "tf32" : "bfloat16";
}

std::string nameOf(const OwnEpilogue& own) {
  std::string text;
  if (own.biasInput >= 0) text += own.halfBias ? ", bfloat16 bias" : ", bias";
  if (own.relu) text += ", relu";
  if (own.gateInput >= 0) text += own.halfGate ? ", bfloat16 gate" : ", gate";
  if (own.rounds) text += ", rounded";
  return text;
}

}  // namespace chainrule::cuda
