// Every kernel, for nvcc.
#include "cuda/kernels/gemm.cuh"
#include "cuda/kernels/island.cuh"
