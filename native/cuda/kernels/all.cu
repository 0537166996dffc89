// Every kernel, for nvcc.
#include "cuda/kernels/island.cuh"
