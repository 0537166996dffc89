#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/libraries/open.h"

// The functions of cuBLASLt that are used here. Own declarations; names, values and meanings as in NVIDIA's
// documentation of cuBLASLt 12 and 13.
namespace chainrule::cuda {

using CuStream = struct CuStreamRecord*;  // as in cuda/driver.h
using LtStatus = int;                     // 0: success
using LtHandle = struct LtHandleRecord*;
using LtProductDescription = struct LtProductRecord*;
using LtLayout = struct LtLayoutRecord*;
using LtPreference = struct LtPreferenceRecord*;

constexpr LtStatus kLtNotSupported = 15;
constexpr int kLtFloat = 0, kLtBfloat16 = 14;          // cudaDataType_t
constexpr int kLtCompute32 = 68, kLtComputeTf32 = 77;  // cublasComputeType_t
constexpr int32_t kLtPlain = 0, kLtTransposed = 1;     // cublasOperation_t
constexpr uint32_t kLtRelu = 2, kLtBias = 4;           // cublasLtEpilogue_t; both: their sum
// Attributes of a product (int32_t, int32_t, uint32_t, pointer), of a layout (int32_t, int64_t) and of a
// preference (uint64_t, uint32_t, four of uint32_t).
constexpr int kLtTransposeA = 3, kLtTransposeB = 4, kLtEpilogue = 7, kLtBiasPointer = 8;
constexpr int kLtBatchCount = 5, kLtBatchStride = 6;
constexpr int kLtMostWorkspace = 1, kLtReductionMask = 3, kLtAlignmentA = 5, kLtAlignmentB = 6, kLtAlignmentC = 7,
              kLtAlignmentD = 8;
// Parts of a long sum go to the workspace and are added up in a step of their own (cublasLtReductionScheme_t).
constexpr uint32_t kLtReduceInWorkspace = 2;

struct LtAlgorithm {
  uint64_t data[8];
};
struct LtHeuristicResult {
  LtAlgorithm algorithm;
  size_t workspaceBytes;
  LtStatus state;
  float waves;
  int reserved[4];
};

struct CublasLtFunctions {
  LtStatus (*create)(LtHandle*);
  LtStatus (*destroy)(LtHandle);
  size_t (*getVersion)();
  const char* (*getStatusName)(LtStatus);
  LtStatus (*productCreate)(LtProductDescription*, int compute, int scaleType);
  LtStatus (*productDestroy)(LtProductDescription);
  LtStatus (*productSet)(LtProductDescription, int attribute, const void* value, size_t bytes);
  LtStatus (*layoutCreate)(LtLayout*, int type, uint64_t rows, uint64_t columns, int64_t leading);
  LtStatus (*layoutDestroy)(LtLayout);
  LtStatus (*layoutSet)(LtLayout, int attribute, const void* value, size_t bytes);
  LtStatus (*preferenceCreate)(LtPreference*);
  LtStatus (*preferenceDestroy)(LtPreference);
  LtStatus (*preferenceSet)(LtPreference, int attribute, const void* value, size_t bytes);
  LtStatus (*heuristic)(LtHandle, LtProductDescription, LtLayout a, LtLayout b, LtLayout c, LtLayout d, LtPreference,
                        int requested, LtHeuristicResult* results, int* found);
  LtStatus (*check)(LtHandle, LtProductDescription, LtLayout a, LtLayout b, LtLayout c, LtLayout d, const LtAlgorithm*,
                    LtHeuristicResult* result);
  LtStatus (*matmul)(LtHandle, LtProductDescription, const void* alpha, const void* a, LtLayout, const void* b,
                     LtLayout, const void* beta, const void* c, LtLayout, void* d, LtLayout, const LtAlgorithm*,
                     void* workspace, size_t workspaceBytes, CuStream);
};

// The library, or in one line why it is not used. Opened once.
struct CublasLt : VendorLibrary {
  CublasLtFunctions functions = {};

  // Throws what a failed call has to say.
  void check(LtStatus status, const char* call) const;
};
// `cuda`: the newest CUDA that the driver runs, 13000 = 13.0.
const CublasLt& cublasLt(LibraryMemory memory, int cuda);

}  // namespace chainrule::cuda
