// All kernels of an ISA with vectors of 16. What lies in groups of 8 keeps to 8 lanes, in namespace narrow.
// clang-format off
namespace narrow {
#include "cpu/simd/avx2.h"
#include "cpu/simd/functions.inl"
#include "cpu/kernels/eights.inl"
}  // namespace narrow
#include "cpu/simd/avx512.h"
#include "cpu/simd/avx512_bytes.h"
#include "cpu/simd/functions.inl"
// clang-format on

using narrow::Eight;
using narrow::loadEight;
using narrow::storeEight;
using narrow::transpose;

using narrow::dropout;
using narrow::randomBernoulli;
using narrow::randomBits;
using narrow::randomNormal;
using narrow::randomTruncatedNormal;
using narrow::randomUniform;

using narrow::cellBackward;
using narrow::cellForward;
using narrow::cellReset;
using narrow::cellResetBackward;
using narrow::packGates;
using narrow::unpackGates;

#include "cpu/kernels/any_width.inl"
