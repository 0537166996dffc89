#pragma once

// Recurrent layers with a block for a few rows (cuda/recurrent_walk.h). Between two barriers every thread makes the
// products of two columns of U with the rows' vectors, then the threads share the units of the rows.

#include "cuda/kernels/recurrent_cell.cuh"
#include "cuda/recurrent_walk.h"

namespace chainrule::cuda {

struct alignas(16) WalkFour {
  float v[4];
};

// The two units of a gate that a thread makes, and their columns of U; the second may be missing, and both.
struct WalkUnits {
  int gate, unit[2], column[2];
  bool has[2];
};
DEVICE WalkUnits walkUnitsOf(const DeviceWalk& w) {
  WalkUnits own;
  const int thread = int(threadIdx.x), units = int(w.cell.units);
  own.gate = thread / w.half;
  for (int i = 0; i < 2; ++i) {
    own.unit[i] = thread - own.gate * w.half + i * w.half;
    own.column[i] = own.gate * units + own.unit[i];
    own.has[i] = own.gate < w.gates() && own.unit[i] < units;
  }
  return own;
}

// A thread's two columns of U, or of a gate of U transposed.
struct WalkWeights {
  float held[2][kWalkHeld];
  WalkFour* others;  // from depth kWalkHeld on

  // element(i, k) of column i; zero beyond it.
  template <typename Element>
  DEVICE_MEMBER void load(float* shared, int depth, const Element& element) {
    others = reinterpret_cast<WalkFour*>(shared) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int k = 0; k < kWalkHeld; ++k) held[i][k] = element(i, k);
      for (int k = kWalkHeld; k < depth; k += 4) {
        WalkFour& four = *other(i, k);
        for (int lane = 0; lane < 4; ++lane) four.v[lane] = element(i, k + lane);
      }
    }
  }
  // Products with the vectors of `rows` rows, each a chain in the order of k.
  template <int rows>
  DEVICE_MEMBER void multiply(const float* vectors, int row, int depth, float (&sum)[2][rows]) const {
#pragma unroll
    for (int r = 0; r < rows; ++r) sum[0][r] = sum[1][r] = 0.0f;
    if (depth >= kWalkHeld) {  // without branches, loads run ahead
#pragma unroll
      for (int k = 0; k < kWalkHeld; k += 4) add(&held[0][k], &held[1][k], vectors + k, row, sum);
    } else {
#pragma unroll
      for (int begin = 0; begin < kWalkHeld; begin += kWalkGroup) {
        if (begin >= depth) continue;
#pragma unroll
        for (int k = begin; k < begin + kWalkGroup; k += 4) add(&held[0][k], &held[1][k], vectors + k, row, sum);
      }
    }
#pragma unroll 2
    for (int k = kWalkHeld; k < depth; k += 4) {
      const WalkFour one = *other(0, k), two = *other(1, k);
      add(one.v, two.v, vectors + k, row, sum);
    }
  }

 private:
  DEVICE_MEMBER WalkFour* other(int i, int k) const { return others + ((k - kWalkHeld) / 2 + i) * int(blockDim.x); }
  template <int rows>
  DEVICE_MEMBER static void add(const float* one, const float* two, const float* vectors, int row,
                                float (&sum)[2][rows]) {
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      const WalkFour x = *reinterpret_cast<const WalkFour*>(vectors + r * row);
#pragma unroll
      for (int lane = 0; lane < 4; ++lane) {
        sum[0][r] = fmaOf(one[lane], x.v[lane], sum[0][r]);
        sum[1][r] = fmaOf(two[lane], x.v[lane], sum[1][r]);
      }
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
template <bool usual>
DEVICE DeviceCell walkCell(const DeviceWalk& w, const WalkRows& block) {
  DeviceCell cell = w.cell;
  if (usual) {  // known while compiling, its functions run side by side
    cell.activation = CellActivation::tanh;
    cell.recurrentActivation = CellActivation::sigmoid;
  }
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

template <int rows, bool usual>
DEVICE void walkForward(const DeviceWalkForward& w) {
  float* const shared = dynamicShared<float>();
  const int units = int(w.cell.units), columns = w.columns;
  const WalkRows block = walkRowsOf<rows>(w);
  const WalkUnits own = walkUnitsOf(w);
  const bool resetBefore = w.cell.cell == Cell::gruResetBefore, gru = w.isGru();
  WalkWeights weights;
  weights.load(shared, w.depth,
               [&](int i, int k) { return own.has[i] && k < units ? w.weights[k * columns + own.column[i]] : 0.0f; });
  clearShared(shared + w.staged, w.size - w.staged);
  syncBlock();

  float* const product = shared + w.product;
  DeviceCellForward c{walkCell<usual>(w, block)};
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
    float* const to = shared + w.staged + (step & 1) * w.stage;
    const Rows<const float> from = block.rowsAt(w.projected, step, columns);
    for (int i = 0; i < 2; ++i) {
      if (!own.has[i]) continue;
      for (int r = 0; r < block.count; ++r)
        copyAsync<4>(to + r * columns + own.column[i], from.data + r * from.stride + own.column[i]);
    }
  };
  const auto recur = [&](const Rows<float>& state, float* to, bool accumulate) {
    float sum[2][rows];
    weights.multiply(state.data, w.depth, w.depth, sum);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (!own.has[i]) continue;
#pragma unroll
      for (int r = 0; r < rows; ++r) {
        float& out = to[r * columns + own.column[i]];
        out = accumulate ? out + sum[i][r] : sum[i][r];
      }
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
    if (own.gate < (resetBefore ? 2 : w.gates())) recur(hidden, gru ? product : z, !gru);
    syncBlock();
    atStep(c, w, block, step);
    c.gates = {z, columns};
    if (w.keptGates) c.kept = block.rowsAt(w.keptGates, step, columns);
    if (w.sequence) c.sequence = {w.sequence + (block.first * w.steps + step) * units, int64_t(w.steps) * units};
    if (resetBefore) {
      forUnits(w, block, [&](const CellPlace& at) { cellReset(c, at); });
      syncBlock();
      if (own.gate == 2) recur(inner, product, false);
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

template <int rows, bool usual>
DEVICE void walkBackward(const DeviceWalkBackward& w) {
  float* const shared = dynamicShared<float>();
  const int units = int(w.cell.units), columns = w.columns, depth = w.depth, gateRow = w.gates() * depth;
  const WalkRows block = walkRowsOf<rows>(w);
  const WalkUnits own = walkUnitsOf(w);
  const bool resetBefore = w.cell.cell == Cell::gruResetBefore, gru = w.isGru();
  WalkWeights weights;
  weights.load(shared, depth, [&](int i, int k) {
    return own.has[i] && k < units ? w.weights[own.unit[i] * columns + own.gate * units + k] : 0.0f;
  });
  clearShared(shared + w.staged, w.size - w.staged);
  syncBlock();

  float* const product = shared + w.product;
  DeviceCellBackward c{walkCell<usual>(w, block)};
  c.gate = depth;
  c.dHidden = shared + w.hidden;
  c.dCarry = shared + w.carry;
  c.dGates = {shared + w.dGates, gateRow};
  c.dRecurrent = {shared + w.dRecurrent, gateRow};
  c.dCandidate = {shared + w.dRecurrent + 2 * depth, gateRow};
  c.dReset = {product + 2 * units, columns};
  const float* const factors = shared + (gru ? w.dRecurrent : w.dGates) + own.gate * depth;

  // A stage: gates [rows][gates][depth], then three states [rows][units]: two of the layer and one of dSequence.
  const int states = rows * gateRow, state = rows * units;
  const int64_t afterAll = (w.cell.n * w.steps + block.first) * units;
  // A state before a step, or after the last one.
  const auto kept = [&](const float* data, int step) {
    return step < w.steps ? block.rowsAt(data, step, units) : Rows<const float>{data + afterAll, units};
  };
  const auto fetch = [&](int step) {
    float* const to = shared + w.staged + (step & 1) * w.stage;
    for (int i = 0; i < 2; ++i) {
      if (!own.has[i] || !w.gatesOf) continue;
      const Rows<const float> from = block.rowsAt(w.gatesOf, step, columns);
      for (int r = 0; r < block.count; ++r)
        copyAsync<4>(to + r * gateRow + own.gate * depth + own.unit[i], from.data + r * from.stride + own.column[i]);
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
      copyAsync<4>(place, &cellValue(one, at));
      if (two) copyAsync<4>(place + state, &cellValue(two, at));
      if (w.dSequence)
        copyAsync<4>(place + 2 * state, w.dSequence + ((block.first + at.row) * w.steps + step) * units + at.unit);
    });
  };
  const auto recurBack = [&]() {
    float sum[2][rows];
    weights.multiply(factors, gateRow, depth, sum);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (!own.has[i]) continue;
#pragma unroll
      for (int r = 0; r < rows; ++r) product[r * columns + own.column[i]] = sum[i][r];
    }
  };
  // What reaches h through U, in the order of the gates.
  const int summed = resetBefore ? 2 : w.gates();
  const auto join = [&](const CellPlace& at) {
    float& dh = c.dHidden[at.row * units + at.unit];
    for (int g = 0; g < summed; ++g) dh += product[at.row * columns + g * units + at.unit];
  };

  const auto keep = [&](int step) {
    for (int i = 0; i < 2; ++i) {
      if (!own.has[i]) continue;
      const int at = own.gate * depth + own.unit[i];
      const Rows<float> out = block.rowsAt(w.dGatesOut, step, columns);
      for (int r = 0; r < block.count; ++r) out.data[r * out.stride + own.column[i]] = c.dGates.data[r * gateRow + at];
      if (!gru) continue;
      const bool candidate = own.gate >= summed;
      const Rows<float> other =
          candidate ? block.rowsAt(w.dCandidateOut, step, units) : block.rowsAt(w.dRecurrentOut, step, summed * units);
      const int to = candidate ? own.unit[i] : own.column[i];
      for (int r = 0; r < block.count; ++r) other.data[r * other.stride + to] = c.dRecurrent.data[r * gateRow + at];
    }
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
      if (own.gate == 2) recurBack();
      syncBlock();
      forUnits(w, block, [&](const CellPlace& at) { cellResetBackward(c, at); });
      syncBlock();
    }
    keep(step);
    if (own.gate < summed) recurBack();
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

#define WALK_KERNEL(direction, rows, functions, usual)                                            \
  KERNEL_BODY __launch_bounds__(kWalkThreads)                                                     \
      walk##direction##rows##functions##Kernel(const __grid_constant__ DeviceWalk##direction w) { \
    walk##direction<rows, usual>(w);                                                              \
  }
#define WALK_KERNELS(rows)                \
  WALK_KERNEL(Forward, rows, Any, false)  \
  WALK_KERNEL(Forward, rows, Usual, true) \
  WALK_KERNEL(Backward, rows, Any, false) \
  WALK_KERNEL(Backward, rows, Usual, true)
WALK_KERNELS(1)
WALK_KERNELS(2)
WALK_KERNELS(4)
#undef WALK_KERNELS
#undef WALK_KERNEL

}  // namespace chainrule::cuda
