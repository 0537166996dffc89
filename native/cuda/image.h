#pragma once

namespace chainrule::cuda {

// The kernels compiled for GPUs, as the driver loads them; null if there was no compiler for them.
const void* kernelImage();

}  // namespace chainrule::cuda
