#include "cuda/image.h"

#ifdef CHAINRULE_CUDA_IMAGE
// The file goes into the library as it is.
asm(".section .rodata\n"
    ".balign 64\n"
    "chainruleKernelImage:\n"
    ".incbin \"" CHAINRULE_CUDA_IMAGE "\"\n"
    ".previous\n");
extern "C" __attribute__((visibility("hidden"))) const char chainruleKernelImage[];
#endif

namespace chainrule::cuda {

const void* kernelImage() {
#ifdef CHAINRULE_CUDA_IMAGE
  return chainruleKernelImage;
#else
  return nullptr;
#endif
}

}  // namespace chainrule::cuda
