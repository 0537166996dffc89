#pragma once

namespace chainrule::cuda {

// The kernels of one file as the driver loads them.
struct KernelImage {
  const void* machineCode = nullptr;
  const char* ptx = nullptr;  // for GPUs and drivers that the machine code is not for
};

// One for each file of kernels; null ends the list, which is empty where there was no compiler for them.
const KernelImage* kernelImages();

}  // namespace chainrule::cuda
