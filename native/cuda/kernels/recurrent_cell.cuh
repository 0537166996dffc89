#pragma once

// The cells of recurrent layers, one unit of one row, forward and back through time (cuda/recurrent.h).

#include "cuda/kernels/lane.cuh"
#include "cuda/recurrent.h"

namespace chainrule::cuda {
namespace lane {
#include "cpu/kernels/cell_activation.inl"
}

struct CellFunctions {
  CellActivation outer, inner;
  DEVICE_MEMBER float state(float x) const { return lane::activate(outer, lane::Float(x)).v; }
  DEVICE_MEMBER float gate(float x) const { return lane::activate(inner, lane::Float(x)).v; }
  DEVICE_MEMBER float stateSlope(float y) const { return lane::slope(outer, lane::Float(y)).v; }
  DEVICE_MEMBER float gateSlope(float y) const { return lane::slope(inner, lane::Float(y)).v; }
};
DEVICE CellFunctions functionsOf(const DeviceCell& s) { return {s.activation, s.recurrentActivation}; }

// The row and unit of this thread.
struct CellPlace {
  int64_t row, unit;
  bool inside;
};
DEVICE CellPlace cellPlace(const DeviceCell& s) {
  const int64_t i = globalThread(), row = i / s.units;
  return {row, i - row * s.units, i < s.n * s.units};
}
DEVICE bool rowCounts(const DeviceCell& s, int64_t row) { return !s.mask || s.mask.data[row * s.mask.stride] != 0; }
DEVICE bool rowShows(const DeviceCell& s, int64_t row) {
  return !s.mask || (s.zeroOutput ? rowCounts(s, row) : s.step >= s.first[row]);
}
template <typename T>
DEVICE T& cellValue(const Rows<T>& rows, const CellPlace& at) {
  return rows.data[at.row * rows.stride + at.unit];
}
template <typename T>
DEVICE T& cellGate(const Rows<T>& rows, const CellPlace& at, int64_t gate, int64_t units) {
  return rows.data[at.row * rows.stride + gate * units + at.unit];
}

// x W + b of a gate.
DEVICE float projected(const DeviceCellForward& s, const CellPlace& at, int64_t gate) {
  const float z = cellGate(s.gates, at, gate, s.units);
  return s.bias ? z + s.bias[gate * s.units + at.unit] : z;
}
// h U + b of a gate of a gru.
DEVICE float recurred(const DeviceCellForward& s, const CellPlace& at, int64_t gate) {
  const float u = cellGate(s.recurrent, at, gate, s.units);
  return s.recurrentBias ? u + s.recurrentBias[gate * s.units + at.unit] : u;
}
DEVICE void keepGate(const DeviceCellForward& s, const CellPlace& at, int64_t gate, float value) {
  if (s.kept) cellGate(s.kept, at, gate, s.units) = value;
}

DEVICE float lstmUnit(const DeviceCellForward& s, const CellFunctions& f, const CellPlace& at) {
  const float i = f.gate(projected(s, at, 0)), forget = f.gate(projected(s, at, 1)), g = f.state(projected(s, at, 2)),
              o = f.gate(projected(s, at, 3));
  const float c = fmaOf(forget, cellValue(s.carry, at), i * g);
  cellValue(s.carryNext, at) = c;
  keepGate(s, at, 0, i);
  keepGate(s, at, 1, forget);
  keepGate(s, at, 2, g);
  keepGate(s, at, 3, o);
  return o * f.state(c);
}
DEVICE float gruUnit(const DeviceCellForward& s, const CellFunctions& f, const CellPlace& at) {
  const float h = cellValue(s.hidden, at), inner = recurred(s, at, 2);
  const float update = f.gate(projected(s, at, 0) + recurred(s, at, 0)),
              reset = f.gate(projected(s, at, 1) + recurred(s, at, 1));
  const float proposed = f.state(fmaOf(reset, inner, projected(s, at, 2)));
  keepGate(s, at, 0, update);
  keepGate(s, at, 1, reset);
  keepGate(s, at, 2, proposed);
  if (s.inner) cellValue(s.inner, at) = inner;
  return fmaOf(update, h, (1.0f - update) * proposed);
}
// The second half of gruResetBefore: update and reset are there already.
DEVICE float gruProposal(const DeviceCellForward& s, const CellFunctions& f, const CellPlace& at) {
  const float h = cellValue(s.hidden, at), update = cellGate(s.gates, at, 0, s.units);
  const float proposed = f.state(projected(s, at, 2) + cellValue(s.candidate, at));
  keepGate(s, at, 2, proposed);
  return fmaOf(update, h, (1.0f - update) * proposed);
}

DEVICE void cellForward(const DeviceCellForward& s, const CellPlace& at) {
  if (!rowCounts(s, at.row)) {
    const float h = cellValue(s.hidden, at);
    cellValue(s.hiddenNext, at) = h;
    if (s.cell == Cell::lstm) cellValue(s.carryNext, at) = cellValue(s.carry, at);
    if (s.sequence) cellValue(s.sequence, at) = rowShows(s, at.row) ? h : 0.0f;
    return;
  }
  const CellFunctions f = functionsOf(s);
  float h;
  switch (s.cell) {
    case Cell::simple:
      h = f.state(projected(s, at, 0));
      break;
    case Cell::lstm:
      h = lstmUnit(s, f, at);
      break;
    case Cell::gru:
      h = gruUnit(s, f, at);
      break;
    default:
      h = gruProposal(s, f, at);
  }
  cellValue(s.hiddenNext, at) = h;
  if (s.sequence) cellValue(s.sequence, at) = h;
}

// The first half of gruResetBefore: gates z and r into their places, r h to `inner`. Rows that don't count, too.
DEVICE void cellReset(const DeviceCellForward& s, const CellPlace& at) {
  const CellFunctions f = functionsOf(s);
  const float update = f.gate(projected(s, at, 0) + recurred(s, at, 0)),
              reset = f.gate(projected(s, at, 1) + recurred(s, at, 1));
  cellGate(s.gates, at, 0, s.units) = update;
  cellGate(s.gates, at, 1, s.units) = reset;
  keepGate(s, at, 0, update);
  keepGate(s, at, 1, reset);
  cellValue(s.inner, at) = reset * cellValue(s.hidden, at);
}

DEVICE void cellEnd(const DeviceCellEnd& s, const CellPlace& at) {
  const int64_t out = at.row * s.cell.units + at.unit;
  const float h = cellValue(s.hidden, at);
  if (s.last) s.last[out] = s.cell.step >= 0 && rowShows(s.cell, at.row) ? h : 0.0f;
  if (s.hiddenOut) s.hiddenOut[out] = h;
  if (s.carryOut) s.carryOut[out] = cellValue(s.carry, at);
}

// A row that does not count at this step: nothing flows into its gates.
DEVICE void clearGates(const DeviceCellBackward& s, const CellPlace& at) {
  for (int64_t gate = 0; gate < gateCount(s.cell); ++gate) cellGate(s.dGates, at, gate, s.gate) = 0.0f;
  if (s.cell == Cell::gru || s.cell == Cell::gruResetBefore) {
    const int64_t own = s.cell == Cell::gru ? 3 : 2;
    for (int64_t gate = 0; gate < own; ++gate) cellGate(s.dRecurrent, at, gate, s.gate) = 0.0f;
  }
  if (s.cell == Cell::gruResetBefore) cellValue(s.dCandidate, at) = 0.0f;
}

DEVICE void lstmGradient(const DeviceCellBackward& s, const CellFunctions& f, float dh, const CellPlace& at) {
  const int64_t state = at.row * s.units + at.unit;
  const float i = cellGate(s.gates, at, 0, s.gate), forget = cellGate(s.gates, at, 1, s.gate),
              g = cellGate(s.gates, at, 2, s.gate), o = cellGate(s.gates, at, 3, s.gate);
  const float c = f.state(cellValue(s.carryNext, at));
  const float dc = fmaOf(dh * o, f.stateSlope(c), s.dCarry[state]);
  cellGate(s.dGates, at, 0, s.gate) = dc * g * f.gateSlope(i);
  cellGate(s.dGates, at, 1, s.gate) = dc * cellValue(s.carry, at) * f.gateSlope(forget);
  cellGate(s.dGates, at, 2, s.gate) = dc * i * f.stateSlope(g);
  cellGate(s.dGates, at, 3, s.gate) = dh * c * f.gateSlope(o);
  s.dCarry[state] = dc * forget;
  s.dHidden[state] = 0.0f;
}
DEVICE void gruGradient(const DeviceCellBackward& s, const CellFunctions& f, float dh, const CellPlace& at) {
  const float update = cellGate(s.gates, at, 0, s.gate), reset = cellGate(s.gates, at, 1, s.gate),
              proposed = cellGate(s.gates, at, 2, s.gate), h = cellValue(s.hidden, at);
  const float dUpdate = dh * (h - proposed) * f.gateSlope(update);
  const float dProposed = dh * (1.0f - update) * f.stateSlope(proposed);
  cellGate(s.dGates, at, 0, s.gate) = dUpdate;
  cellGate(s.dRecurrent, at, 0, s.gate) = dUpdate;
  cellGate(s.dGates, at, 2, s.gate) = dProposed;
  s.dHidden[at.row * s.units + at.unit] = dh * update;
  if (s.cell == Cell::gruResetBefore) {
    cellValue(s.dCandidate, at) = dProposed;
    return;
  }
  const float dReset = dProposed * cellValue(s.inner, at) * f.gateSlope(reset);
  cellGate(s.dGates, at, 1, s.gate) = dReset;
  cellGate(s.dRecurrent, at, 1, s.gate) = dReset;
  cellGate(s.dRecurrent, at, 2, s.gate) = dProposed * reset;
}

DEVICE void cellBackward(const DeviceCellBackward& s, const CellPlace& at) {
  const CellFunctions f = functionsOf(s);
  const bool shows = rowShows(s, at.row);
  float& dHidden = s.dHidden[at.row * s.units + at.unit];
  float dh = dHidden;
  if (shows && s.dSequence) dh += cellValue(s.dSequence, at);
  if (shows && s.dLast) dh += cellValue(s.dLast, at);
  if (!rowCounts(s, at.row)) {
    clearGates(s, at);
    dHidden = dh;
  } else if (s.cell == Cell::simple) {
    cellValue(s.dGates, at) = dh * f.stateSlope(cellValue(s.hiddenNext, at));
    dHidden = 0.0f;
  } else if (s.cell == Cell::lstm) {
    lstmGradient(s, f, dh, at);
  } else {
    gruGradient(s, f, dh, at);
  }
}

// The second half of gruResetBefore: from the gradient of r h to those of r and h.
DEVICE void cellResetBackward(const DeviceCellBackward& s, const CellPlace& at) {
  if (!rowCounts(s, at.row)) return;
  const CellFunctions f = functionsOf(s);
  const int64_t state = at.row * s.units + at.unit;
  const float reset = cellGate(s.gates, at, 1, s.gate), d = cellValue(s.dReset, at);
  const float dz = d * cellValue(s.hidden, at) * f.gateSlope(reset);
  cellGate(s.dGates, at, 1, s.gate) = dz;
  cellGate(s.dRecurrent, at, 1, s.gate) = dz;
  s.dHidden[state] = fmaOf(d, reset, s.dHidden[state]);
}

}  // namespace chainrule::cuda
