#pragma once

#include "cuda/kernels/grid.cuh"

namespace chainrule::cuda {

// Divisions of small numbers are much cheaper.
struct Quotient {
  int64_t quotient, rest;
};
DEVICE Quotient divide(int64_t a, int64_t b) {
  if (((uint64_t(a) | uint64_t(b)) >> 32) == 0) {
    const uint32_t quotient = uint32_t(a) / uint32_t(b);
    return {int64_t(quotient), int64_t(uint32_t(a) - quotient * uint32_t(b))};
  }
  return {a / b, a % b};
}

// Where line number `line` along the middle axis of [outer][n][inner] begins.
DEVICE int64_t lineOffset(int64_t line, int64_t n, int64_t inner) {
  if (inner == 1) return line * n;
  const Quotient q = divide(line, inner);
  return q.quotient * n * inner + q.rest;
}

}  // namespace chainrule::cuda
