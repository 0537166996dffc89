// Runs of codes as one loop (cpu/island_runs.h): values pass from code to code in registers.

struct RunValues {
  Float of[kRunCodes];
  Mask mask;  // of lessEqual, which only the next code reads
};

template <int pattern, int k, int i>
CHAINRULE_INLINE Float runOperand(const RunValues& values, const float* const* source, int64_t at) {
  constexpr int operand = islandRuns[pattern].codes[k].operands[i];
  if constexpr (operand >= kSource)
    return load(source[operand - kSource] + at);
  else
    return values.of[operand];
}

#define OPERAND(i) (runOperand<pattern, k, i>(values, source, at))
template <int pattern, int k>
CHAINRULE_INLINE void runCodes(RunValues& values, const float* const* source, float* const* dst, int64_t at) {
  if constexpr (k < islandRuns[pattern].count) {
    constexpr Opcode op = islandRuns[pattern].codes[k].op;
    if constexpr (op == Opcode::lessEqual_f32) {
      values.mask = lessEqualOp::run(OPERAND(0), OPERAND(1));
    } else {
      Float& value = values.of[k];
      if constexpr (op == Opcode::sub_f32) value = subOp::run(OPERAND(0), OPERAND(1));
      if constexpr (op == Opcode::add_f32) value = addOp::run(OPERAND(0), OPERAND(1));
      if constexpr (op == Opcode::mul_f32) value = mulOp::run(OPERAND(0), OPERAND(1));
      if constexpr (op == Opcode::mulAdd) value = mulAddOp::run(OPERAND(0), OPERAND(1), OPERAND(2));
      if constexpr (op == Opcode::addMul) value = addMulOp::run(OPERAND(0), OPERAND(1), OPERAND(2));
      if constexpr (op == Opcode::subThenMul) value = subThenMulOp::run(OPERAND(0), OPERAND(1), OPERAND(2));
      if constexpr (op == Opcode::relu_f32) value = reluOp::run(OPERAND(0));
      if constexpr (op == Opcode::minimum_f32) value = minimumOp::run(OPERAND(0), OPERAND(1));
      if constexpr (op == Opcode::whenPositive_f32) value = whenPositiveOp::run(OPERAND(0), OPERAND(1));
      if constexpr (op == Opcode::select_f32) value = select(values.mask, OPERAND(1), OPERAND(2));
      if (dst[k]) store(dst[k] + at, value);
    }
    runCodes<pattern, k + 1>(values, source, dst, at);
  }
}

#undef OPERAND

// ahead: what of its sources and results goes on behind the tile is asked for, by so many elements.
template <int pattern>
static void runLoop(const float* const* source, float* const* dst, int64_t n, const float* const* ahead, int streams) {
  for (int64_t i = 0; i < n; i += lanes) {
    for (int s = 0; s < streams; ++s) __builtin_prefetch(ahead[s] + n + i);
    RunValues values;
    runCodes<pattern, 0>(values, source, dst, i);
  }
}

using RunLoop = void (*)(const float* const*, float* const*, int64_t, const float* const*, int);
constexpr RunLoop runLoops[] = {runLoop<0>, runLoop<1>, runLoop<2>, runLoop<3>, runLoop<4>, runLoop<5>};
static_assert(sizeof runLoops / sizeof runLoops[0] == kRunPatterns);
