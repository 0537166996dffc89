#pragma once

namespace chainrule::cuda {

// The kernels compiled for GPUs, a module for each file of kernels, as the driver loads them. Null ends the list, which
// is empty where there was no compiler for them.
const void* const* kernelImages();

}  // namespace chainrule::cuda
