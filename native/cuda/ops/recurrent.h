#pragma once

#include "base/pieces.h"
#include "cuda/ops/gemm.h"
#include "cuda/recurrent.h"
#include "plan/recurrent_sizes.h"

// What the two directions of a recurrent op share. Everything that the gradient reads lies [row][time][..] like x
// itself, so that the products over all steps are single ones; the state after the last step follows at the end.
namespace chainrule::cuda {

// A product of row-major matrices that have these strides from row to row; a transposed one lies as its transpose.
struct RowsProduct {
  int64_t m = 0, n = 0, k = 0;
  int64_t aRow = 0;
  bool aTransposed = false;
  int64_t bRow = 0;
  bool bTransposed = false;
  int64_t cRow = 0;
  bool tf32 = false;

  Gemm gemm() const {
    Gemm gemm{.m = m, .n = n, .k = k};
    gemm.a = rowsOperand(aRow, aTransposed);
    gemm.b = columnsOperand(bRow, bTransposed);
    gemm.cRow = cRow;
    return gemm;
  }
  int64_t scratch() const { return planGemm(gemm()).scratchBytes; }
  // C = [C +] A B. `scratch` is free again when the next product runs.
  void run(Queue& queue, const float* a, const float* b, float* c, void* scratch, bool accumulate = false) const {
    Gemm now = gemm();
    now.a.data = a;
    now.b.data = b;
    now.c = c;
    now.accumulate = accumulate;
    runGemm(queue, now, planGemm(now), scratch, tf32 ? Factors::tf32 : Factors::exact);
  }
};

struct RecurrentRun {
  const RecurrentSizes& r;
  const StepArgs& args;

  Queue& queue() const { return queueOf(args); }
  float* at(int64_t offset) const { return reinterpret_cast<float*>(args.shared) + offset; }
  LaunchSize size() const { return threadsFor(r.n * r.units); }
  // Rows of step s of something that lies [row][time][size].
  template <typename T>
  Rows<T> stepRows(T* data, int64_t s, int64_t size) const {
    return {data + r.source(s) * size, r.steps * size};
  }
  // A state before step s, or after the last one.
  template <typename T>
  Rows<T> stateRows(T* kept, int64_t s) const {
    if (s < r.steps) return stepRows(kept, s, r.units);
    return {kept + r.n * r.steps * r.units, r.units};
  }
  DeviceCell cell(int64_t s, const uint8_t* mask, const int32_t* first) const;
  void firstSteps(const uint8_t* mask, int32_t* first) const;
  void setState(const float* state, Rows<float> rows) const;  // null stands for zeros
};

Lowering lowerRecurrent(const LowerContext& c);
Lowering lowerRecurrentGradient(const LowerContext& c);

}  // namespace chainrule::cuda
