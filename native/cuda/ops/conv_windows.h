#pragma once

#include "base/conv_shape.h"
#include "cuda/gemm.h"
#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

// What the launches of convolutions share.
namespace chainrule::cuda {

GemmWindow inputWindow(const ConvShape& shape);   // windows of the input, one for each output pixel
GemmWindow outputWindow(const ConvShape& shape);  // of the output's gradient, one for each input pixel: the outputs
                                                  // that it went into

// Threads that take `count` items in turn.
LaunchSize itemsOfConvolution(int64_t count);

// The gradient of a filter of `count` numbers from its parts over the pixels.
void joinFilterParts(Queue& queue, const float* partial, int64_t parts, int64_t count, float* to);

// Whether four channels can be moved at once.
inline bool isFours(const void* data, int64_t channels) { return channels % 4 == 0 && startAt16({data}); }

}  // namespace chainrule::cuda
