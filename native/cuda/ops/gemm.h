#pragma once

#include <string>
#include <vector>

#include "cuda/gemm.h"
#include "cuda/queue.h"

namespace chainrule::cuda {

// A row-major matrix (or its transpose) as an operand: A with rows x and depth k, B with columns x and depth k.
GemmOperand rowsOperand(int64_t row, bool transposed);     // A of C = A B; transposed: A lies as [k][m]
GemmOperand columnsOperand(int64_t row, bool transposed);  // B; transposed: B lies as [n][k]

// What a block of threads computes of C. The order of a sum may depend on it, by the parts that go with it.
enum class Tile : uint8_t { tiny, small, medium, large };
std::string nameOf(Tile tile);  // "128x256"

// How a product is computed: in which tiles, and a long sum cut into so many parts of kPart.
struct GemmPlan {
  Tile tile = Tile::tiny;
  int64_t parts = 1, kPart = 1;
  int64_t scratchBytes = 0;
};
// Cuts a long sum into parts where C alone has too few tiles for a GPU. By the shape alone, so that the bits are the
// same everywhere; in tiles of a given size also by that.
GemmPlan planGemm(const Gemm& gemm);
GemmPlan planGemm(const Gemm& gemm, Tile tile);

// What is multiplied: floats, floats that may lose all but 10 bits of mantissa, or bfloat16.
enum class Factors { exact, tf32, bf16 };
Factors factorsOf(const LowerContext& node);  // whose first two inputs are the factors

// The sizes of tiles for which there is a kernel that a block with so much shared memory can run. For others runGemm
// takes the next smaller ones.
std::vector<Tile> tilesFor(const Gemm& gemm, Factors factors, bool windowed, int64_t mostShared);

// Enqueues C = [C +] A B. `scratch`: what the plan asks for.
void runGemm(Queue& queue, Gemm gemm, const GemmPlan& plan, void* scratch, Factors factors, bool windowed = false);

}  // namespace chainrule::cuda
