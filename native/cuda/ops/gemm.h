#pragma once

#include "cuda/gemm.h"
#include "cuda/queue.h"

namespace chainrule::cuda {

// A row-major matrix (or its transpose) as an operand: A with rows x and depth k, B with columns x and depth k.
GemmOperand rowsOperand(int64_t row, bool transposed);     // A of C = A B; transposed: A lies as [k][m]
GemmOperand columnsOperand(int64_t row, bool transposed);  // B; transposed: B lies as [n][k]

// Cuts a long sum into parts where C alone has too few tiles for a GPU; by the shape alone, so that the bits are the
// same everywhere. Returns the bytes of scratch that the product needs.
int64_t planGemm(Gemm& gemm);

// What is multiplied: floats, floats that may lose all but 10 bits of mantissa, or bfloat16.
enum class Factors { exact, tf32, bf16 };
Factors factorsOf(const LowerContext& node);  // whose first two inputs are the factors

// Enqueues C = [C +] A B. `scratch`: what planGemm asked for. tf32: factors may lose all but 10 bits of mantissa.
void runGemm(Queue& queue, Gemm gemm, void* scratch, bool tf32, bool windowed = false);

}  // namespace chainrule::cuda
