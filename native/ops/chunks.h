#pragma once

#include "cpu/kernel_table.h"
#include "plan/backend.h"

namespace chainrule::ops {

// What members summed apart, `chunks` times `size` floats, becomes one sum, in the order of the chunks. The whole team
// calls it.
inline void addChunks(const StepArgs& args, const cpu::KernelTable& k, const float* partial, int64_t chunks,
                      int64_t size, float* out) {
  args.barrier();
  const Range part = args.split(size, 16);
  if (!part.empty()) k.reduceOuter(cpu::Reduce::sum, DType::f32, partial, chunks, size, out, part.begin, part.end);
}

}  // namespace chainrule::ops
