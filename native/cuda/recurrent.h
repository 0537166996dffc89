#pragma once

#include <cstdint>

#include "base/cell.h"

// One step of a recurrent layer as its kernels take it: a thread owns one unit of one row. The gates of a row lie as
// [gate][unit]; every pointer is at row 0 of the step and has its own stride from row to row.
namespace chainrule::cuda {

template <typename T>
struct Rows {
  T* data = nullptr;
  int64_t stride = 0;

  constexpr explicit operator bool() const { return data != nullptr; }
};
template <typename T>
constexpr Rows<const T> reading(const Rows<T>& rows) {
  return {rows.data, rows.stride};
}

struct DeviceCell {
  Cell cell = Cell::lstm;
  CellActivation activation = CellActivation::tanh, recurrentActivation = CellActivation::sigmoid;
  bool zeroOutput = false;  // the output of a row that does not count is zero, not the one before
  int32_t step = 0;
  int64_t n = 0, units = 0;
  Rows<const uint8_t> mask = {};   // none: all rows count
  const int32_t* first = nullptr;  // by row: the first step that counts
};

struct DeviceCellForward : DeviceCell {
  Rows<float> gates = {};                // x W, and for simple and lstm + h U
  Rows<float> kept = {};                 // where the activated gates go, perhaps over `gates`; or none
  const float* bias = nullptr;           // of x W, or null
  Rows<const float> recurrent = {};      // gru: h U; gruResetBefore: of its first two gates
  const float* recurrentBias = nullptr;  // gru, or null
  Rows<const float> candidate = {};      // gruResetBefore: (r h) U of the third gate
  Rows<const float> hidden = {};
  Rows<float> hiddenNext = {};
  Rows<const float> carry = {};  // lstm
  Rows<float> carryNext = {};    // lstm
  Rows<float> inner = {};        // gru, or none: the third gate's h U + b; gruResetBefore: r h
  Rows<float> sequence = {};     // the output, or none
};

struct DeviceCellBackward : DeviceCell {
  int64_t gate = 0;                   // from gate to gate of gates, dGates and dRecurrent
  Rows<const float> gates = {};       // activated
  Rows<const float> hidden = {};      // before the step
  Rows<const float> hiddenNext = {};  // after it
  Rows<const float> carry = {};       // lstm: c before
  Rows<const float> carryNext = {};   // lstm: c after
  Rows<const float> inner = {};       // gru, as forward
  Rows<const float> dSequence = {};   // of the output, or none
  Rows<const float> dLast = {};       // of the last output, at the last step; or none
  float* dHidden = nullptr;           // [n][units]. In: of hiddenNext. Out: what reaches hidden past U
  float* dCarry = nullptr;            // lstm, likewise
  Rows<float> dGates = {};            // of x W + b
  Rows<float> dRecurrent = {};        // gru: of h U + b; gruResetBefore: of its first two gates
  Rows<float> dCandidate = {};        // gruResetBefore: of (r h) U
  Rows<const float> dReset = {};      // gruResetBefore, second half: of r h
};

// The visible parts after the last step; null: not asked for.
struct DeviceCellEnd {
  DeviceCell cell;
  Rows<const float> hidden = {}, carry = {};
  float *last = nullptr, *hiddenOut = nullptr, *carryOut = nullptr;
};

}  // namespace chainrule::cuda
