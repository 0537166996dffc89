#pragma once

// Recurrent layers with a block for a few rows (cuda/recurrent_walk.h). Between two barriers every thread makes the
// products of one column of U with the rows' vectors, then the threads share the units of the rows.

#include "cuda/kernels/recurrent_cell.cuh"
#include "cuda/recurrent_walk.h"

namespace chainrule::cuda {

struct alignas(16) WalkFour {
  float v[4];
};

// A thread's column of U, or of a gate of U transposed.
struct WalkColumn {
  float held[kWalkHeld];
  float* others;  // from depth kWalkHeld on, each a block apart

  // element(k) is zero beyond the column.
  template <typename Element>
  DEVICE_MEMBER void load(float* shared, int depth, const Element& element) {
    others = shared + threadIdx.x;
#pragma unroll
    for (int k = 0; k < kWalkHeld; ++k) held[k] = element(k);
    for (int k = kWalkHeld; k < depth; ++k) others[(k - kWalkHeld) * int(blockDim.x)] = element(k);
  }
  // Products with the vectors of `rows` rows, each a chain in the order of k.
  template <int rows>
  DEVICE_MEMBER void multiply(const float* vectors, int row, int depth, float (&sum)[rows]) const {
#pragma unroll
    for (int r = 0; r < rows; ++r) sum[r] = 0.0f;
#pragma unroll
    for (int begin = 0; begin < kWalkHeld; begin += int(kWalkGroup)) {
      if (begin < depth) {
#pragma unroll
        for (int k = begin; k < begin + int(kWalkGroup); k += 4) add(&held[k], 1, vectors + k, row, sum);
      }
    }
    const int stride = int(blockDim.x);
#pragma unroll 4
    for (int k = kWalkHeld; k < depth; k += 4) add(others + (k - kWalkHeld) * stride, stride, vectors + k, row, sum);
  }

 private:
  template <int rows>
  DEVICE_MEMBER static void add(const float* weights, int stride, const float* vectors, int row, float (&sum)[rows]) {
    const float w[4] = {weights[0], weights[stride], weights[2 * stride], weights[3 * stride]};
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      const WalkFour x = *reinterpret_cast<const WalkFour*>(vectors + r * row);
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[r] = fmaOf(w[i], x.v[i], sum[r]);
    }
  }
};

// The block's rows and where they lie.
struct WalkRows {
  int64_t first;  // row of the batch
  int count;
  int64_t steps;
  bool backwards;

  DEVICE_MEMBER int64_t source(int step) const { return backwards ? steps - 1 - step : step; }
  // Of something that lies [row][time][size], the block's first row at a step.
  template <typename T>
  DEVICE_MEMBER T* at(T* data, int step, int64_t size) const {
    return data + (first * steps + source(step)) * size;
  }
  template <typename T>
  DEVICE_MEMBER Rows<T> rowsAt(T* data, int step, int64_t size) const {
    return {at(data, step, size), steps * size};
  }
};
template <int rows>
DEVICE WalkRows walkRowsOf(const DeviceWalk& w) {
  const int64_t first = int64_t(blockIdx.x) * rows, left = w.cell.n - first;
  return {first, int(left < rows ? left : rows), w.steps, w.backwards};
}
DEVICE void atStep(DeviceCell& cell, const DeviceWalk& w, const WalkRows& block, int step) {
  cell.step = step;
  if (w.cell.mask) cell.mask = block.rowsAt(w.cell.mask.data, step, 1);
}
DEVICE DeviceCell walkCell(const DeviceWalk& w, const WalkRows& block) {
  DeviceCell cell = w.cell;
  if (cell.first) cell.first += block.first;
  return cell;
}

// f(row, unit) for the units of the block's rows.
template <typename F>
DEVICE void forUnits(const DeviceWalk& w, const WalkRows& block, const F& f) {
  const int units = int(w.cell.units);
  for (int i = int(threadIdx.x); i < block.count * units; i += int(blockDim.x)) {
    const int row = i / units;
    f(CellPlace{row, i - row * units, true});
  }
}
DEVICE void clearShared(float* begin, int count) {
  for (int i = int(threadIdx.x); i < count; i += int(blockDim.x)) begin[i] = 0.0f;
}

template <int rows>
DEVICE void walkForward(const DeviceWalkForward& w) {
  float* const shared = dynamicShared<float>();
  const int thread = int(threadIdx.x), units = int(w.cell.units), columns = w.columns;
  const WalkRows block = walkRowsOf<rows>(w);
  const bool inside = thread < columns, resetBefore = w.cell.cell == Cell::gruResetBefore, gru = w.isGru();
  WalkColumn column;
  column.load(shared, w.depth, [&](int k) { return inside && k < units ? w.weights[k * columns + thread] : 0.0f; });
  clearShared(shared + w.staged, w.size - w.staged);
  syncBlock();

  float* const product = shared + w.product;
  DeviceCellForward c{walkCell(w, block)};
  const Rows<float> hidden{shared + w.hidden, w.depth}, carry{shared + w.carry, units},
      inner{shared + w.inner, w.depth};
  c.hiddenNext = hidden;
  c.hidden = reading(hidden);
  if (w.cell.cell == Cell::lstm) {
    c.carryNext = carry;
    c.carry = reading(carry);
  }
  if (gru) {
    c.recurrent = {product, columns};
    c.candidate = {product + 2 * units, columns};
    c.inner = inner;
  }
  c.bias = w.bias;
  c.recurrentBias = w.recurrentBias;

  const auto fetch = [&](int step) {
    if (!inside) return;
    float* const to = shared + w.staged + (step & 1) * w.stage + thread;
    const Rows<const float> from = block.rowsAt(w.projected, step, columns);
    for (int r = 0; r < block.count; ++r) copyAsync(to + r * columns, from.data + r * from.stride + thread);
  };
  const auto recur = [&](const Rows<float>& state, float* to, bool accumulate) {
    float sum[rows];
    column.multiply(state.data, w.depth, w.depth, sum);
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      float& out = to[r * columns + thread];
      out = accumulate ? out + sum[r] : sum[r];
    }
  };

  fetch(0);
  forUnits(w, block, [&](const CellPlace& at) {
    const int64_t from = (block.first + at.row) * units + at.unit;
    if (w.hiddenIn) cellValue(hidden, at) = w.hiddenIn[from];
    if (w.carryIn) cellValue(carry, at) = w.carryIn[from];
  });
  finishCopies();
  syncBlock();
  for (int step = 0; step < w.steps; ++step) {
    float* const z = shared + w.staged + (step & 1) * w.stage;
    if (step + 1 < w.steps) fetch(step + 1);
    if (thread < (resetBefore ? 2 * units : columns)) recur(hidden, gru ? product : z, !gru);
    syncBlock();
    atStep(c, w, block, step);
    c.gates = {z, columns};
    if (w.keptGates) c.kept = block.rowsAt(w.keptGates, step, columns);
    if (w.sequence) c.sequence = {w.sequence + (block.first * w.steps + step) * units, int64_t(w.steps) * units};
    if (resetBefore) {
      forUnits(w, block, [&](const CellPlace& at) { cellReset(c, at); });
      syncBlock();
      if (inside && thread >= 2 * units) recur(inner, product, false);
      syncBlock();
    }
    forUnits(w, block, [&](const CellPlace& at) {
      if (w.keptHidden) cellValue(block.rowsAt(w.keptHidden, step, units), at) = cellValue(hidden, at);
      if (w.keptCarry && !gru) cellValue(block.rowsAt(w.keptCarry, step, units), at) = cellValue(carry, at);
      cellForward(c, at);
      if (w.keptCarry && gru) cellValue(block.rowsAt(w.keptCarry, step, units), at) = cellValue(inner, at);
    });
    finishCopies();
    syncBlock();
  }

  DeviceCellEnd end{.cell = c};
  end.hidden = c.hidden;
  end.carry = c.carry;
  const int64_t out = block.first * units, after = (w.cell.n * w.steps + block.first) * units;
  if (w.last) end.last = w.last + out;
  if (w.hiddenOut) end.hiddenOut = w.hiddenOut + out;
  if (w.carryOut) end.carryOut = w.carryOut + out;
  forUnits(w, block, [&](const CellPlace& at) {
    cellEnd(end, at);
    if (w.keptHidden) cellValue(Rows<float>{w.keptHidden + after, units}, at) = cellValue(hidden, at);
    if (w.keptCarry && !gru) cellValue(Rows<float>{w.keptCarry + after, units}, at) = cellValue(carry, at);
  });
}

template <int rows>
DEVICE void walkBackward(const DeviceWalkBackward& w) {
  float* const shared = dynamicShared<float>();
  const int thread = int(threadIdx.x), units = int(w.cell.units), columns = w.columns, depth = w.depth;
  const WalkRows block = walkRowsOf<rows>(w);
  const bool inside = thread < columns, resetBefore = w.cell.cell == Cell::gruResetBefore, gru = w.isGru();
  const int gate = thread / units, unit = thread - gate * units, gateRow = w.gates() * depth;
  WalkColumn column;
  column.load(shared, depth,
              [&](int k) { return inside && k < units ? w.weights[unit * columns + gate * units + k] : 0.0f; });
  clearShared(shared + w.staged, w.size - w.staged);
  syncBlock();

  float* const product = shared + w.product;
  DeviceCellBackward c{walkCell(w, block)};
  c.gate = depth;
  c.dHidden = shared + w.hidden;
  c.dCarry = shared + w.carry;
  c.dGates = {shared + w.dGates, gateRow};
  c.dRecurrent = {shared + w.dRecurrent, gateRow};
  c.dCandidate = {shared + w.dRecurrent + 2 * depth, gateRow};
  c.dReset = {product + 2 * units, columns};
  const float* const factors = shared + (gru ? w.dRecurrent : w.dGates) + gate * depth;

  // A stage: gates [rows][gates][depth], then three states [rows][units]: two of the layer and one of dSequence.
  const int states = rows * gateRow, state = rows * units;
  const int64_t afterAll = (w.cell.n * w.steps + block.first) * units;
  // A state before a step, or after the last one.
  const auto kept = [&](const float* data, int step) {
    return step < w.steps ? block.rowsAt(data, step, units) : Rows<const float>{data + afterAll, units};
  };
  const auto fetch = [&](int step) {
    float* const to = shared + w.staged + (step & 1) * w.stage;
    if (inside && w.gatesOf) {
      const Rows<const float> from = block.rowsAt(w.gatesOf, step, columns);
      for (int r = 0; r < block.count; ++r)
        copyAsync(to + r * gateRow + gate * depth + unit, from.data + r * from.stride + thread);
    }
    const bool lstm = w.cell.cell == Cell::lstm;
    const Rows<const float> one = gru    ? kept(w.hiddenOf, step)
                                  : lstm ? kept(w.carryOf, step)
                                         : kept(w.hiddenOf, step + 1);
    Rows<const float> two;
    if (gru) two = block.rowsAt(w.carryOf, step, units);
    if (lstm) two = kept(w.carryOf, step + 1);
    forUnits(w, block, [&](const CellPlace& at) {
      float* const place = to + states + at.row * units + at.unit;
      copyAsync(place, &cellValue(one, at));
      if (two) copyAsync(place + state, &cellValue(two, at));
      if (w.dSequence)
        copyAsync(place + 2 * state, w.dSequence + ((block.first + at.row) * w.steps + step) * units + at.unit);
    });
  };
  const auto recurBack = [&]() {
    float sum[rows];
    column.multiply(factors, gateRow, depth, sum);
#pragma unroll
    for (int r = 0; r < rows; ++r) product[r * columns + thread] = sum[r];
  };
  // What reaches h through U, in the order of the gates.
  const int summed = resetBefore ? 2 : w.gates();
  const auto join = [&](const CellPlace& at) {
    float& dh = c.dHidden[at.row * units + at.unit];
    for (int g = 0; g < summed; ++g) dh += product[at.row * columns + g * units + at.unit];
  };

  fetch(w.steps - 1);
  forUnits(w, block, [&](const CellPlace& at) {
    const int64_t from = (block.first + at.row) * units + at.unit, to = at.row * units + at.unit;
    if (w.hiddenIn) c.dHidden[to] = w.hiddenIn[from];
    if (w.carryIn) c.dCarry[to] = w.carryIn[from];
  });
  finishCopies();
  syncBlock();
  for (int step = w.steps - 1; step >= 0; --step) {
    float* const staged = shared + w.staged + (step & 1) * w.stage;
    if (step > 0) fetch(step - 1);
    atStep(c, w, block, step);
    c.gates = {staged, gateRow};
    const Rows<const float> one{staged + states, units}, two{staged + states + state, units};
    c.hidden = c.hiddenNext = c.carry = one;
    c.inner = c.carryNext = two;
    if (w.dSequence) c.dSequence = {staged + states + 2 * state, units};
    if (w.dLast) c.dLast = {w.dLast + block.first * units, units};
    if (step != w.steps - 1) c.dLast = {};
    forUnits(w, block, [&](const CellPlace& at) {
      join(at);
      cellBackward(c, at);
    });
    syncBlock();
    if (resetBefore) {
      if (inside && gate == 2) recurBack();
      syncBlock();
      forUnits(w, block, [&](const CellPlace& at) { cellResetBackward(c, at); });
      syncBlock();
    }
    if (inside) {
      const Rows<float> out = block.rowsAt(w.dGatesOut, step, columns);
      const int at = gate * depth + unit;
      for (int r = 0; r < block.count; ++r) {
        out.data[r * out.stride + thread] = c.dGates.data[r * gateRow + at];
        if (!gru) continue;
        const float d = c.dRecurrent.data[r * gateRow + at];
        if (gate < summed) {
          const Rows<float> recurrent = block.rowsAt(w.dRecurrentOut, step, summed * units);
          recurrent.data[r * recurrent.stride + thread] = d;
        } else {
          const Rows<float> candidate = block.rowsAt(w.dCandidateOut, step, units);
          candidate.data[r * candidate.stride + unit] = d;
        }
      }
      if (gate < summed) recurBack();
    }
    finishCopies();
    syncBlock();
  }
  forUnits(w, block, [&](const CellPlace& at) {
    join(at);
    const int64_t to = (block.first + at.row) * units + at.unit, from = at.row * units + at.unit;
    if (w.hiddenOut) w.hiddenOut[to] = c.dHidden[from];
    if (w.carryOut) w.carryOut[to] = c.dCarry[from];
  });
}

#define WALK_KERNELS(rows)                                                                                             \
  KERNEL_BODY __launch_bounds__(kWalkThreads) walkForward##rows##Kernel(const __grid_constant__ DeviceWalkForward w) { \
    walkForward<rows>(w);                                                                                              \
  }                                                                                                                    \
  KERNEL_BODY __launch_bounds__(kWalkThreads)                                                                          \
      walkBackward##rows##Kernel(const __grid_constant__ DeviceWalkBackward w) {                                       \
    walkBackward<rows>(w);                                                                                             \
  }
WALK_KERNELS(1)
WALK_KERNELS(2)
WALK_KERNELS(4)
#undef WALK_KERNELS

}  // namespace chainrule::cuda
