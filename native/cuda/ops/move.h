#pragma once

#include "cuda/queue.h"

namespace chainrule::cuda {

// [rows][columns] as [columns][rows].
void transposeMatrix(Queue& queue, const float* in, float* out, int64_t rows, int64_t columns);

}  // namespace chainrule::cuda
