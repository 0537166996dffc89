// Every kernel, for nvcc.
#include "cuda/kernels/gemm.cuh"
#include "cuda/kernels/island.cuh"
#include "cuda/kernels/pool.cuh"
#include "cuda/kernels/recurrent.cuh"
#include "cuda/kernels/solve.cuh"
#include "cuda/kernels/factor.cuh"
