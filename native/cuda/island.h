#pragma once

#include <cstdint>

#include "base/opcode.h"

// An elementwise program as the interpreter kernel takes it: by value, in the kernel's parameters (4 KiB at most).
namespace chainrule::cuda {

constexpr int kIslandInputs = 24, kIslandConstants = 24, kIslandOutputs = 16, kIslandRank = 8;
constexpr int kIslandCode = 160;

struct DeviceIsland {
  // How element i of the space finds its operand: i; 0; i % period; i / period; by the strides.
  enum class Access : uint8_t { same, scalar, repeats, stretches, general };
  struct Input {
    const void* data;
    int64_t period;
    DType dtype;
    Access access;
    uint8_t target;  // register
  };
  struct Output {
    void* data;
    DType dtype;
    uint8_t source;  // register
  };
  struct Code {
    Opcode op;
    uint8_t dst, a, b, c;  // registers
  };
  int64_t elements;
  int64_t dims[kIslandRank];
  int32_t strides[kIslandInputs][kIslandRank];
  uint32_t constants[kIslandConstants];
  uint8_t constantTarget[kIslandConstants];
  uint8_t rank, inputCount, constantCount, codeCount, outputCount, registers;
  Input inputs[kIslandInputs];
  Output outputs[kIslandOutputs];
  Code code[kIslandCode];
};
static_assert(sizeof(DeviceIsland) <= 4000);

constexpr int kIslandWide = 4;  // elements of a thread

}  // namespace chainrule::cuda
