// Every kernel, for nvcc.
#include "cuda/kernels/attention.cuh"
#include "cuda/kernels/attention_gradient.cuh"
#include "cuda/kernels/factor.cuh"
#include "cuda/kernels/gemm.cuh"
#include "cuda/kernels/island.cuh"
#include "cuda/kernels/pool.cuh"
#include "cuda/kernels/recurrent.cuh"
#include "cuda/kernels/solve.cuh"
