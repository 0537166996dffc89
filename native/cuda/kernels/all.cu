// Every kernel, for nvcc.
#include "cuda/kernels/island.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/rows.cuh"
#include "cuda/kernels/lines.cuh"
#include "cuda/kernels/move.cuh"
#include "cuda/kernels/radix.cuh"
#include "cuda/kernels/gather.cuh"
#include "cuda/kernels/sort.cuh"
