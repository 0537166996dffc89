#pragma once

#include <algorithm>

#include "cuda/matrices.h"
#include "cuda/queue.h"

namespace chainrule::cuda {

// One block for each matrix of a stack [.., rows, columns], if there are not too many.
class MatrixLaunch {
 public:
  // `workspace`: doubles that a block needs for a matrix; `threads`: of a block, at most.
  MatrixLaunch(const Dims& dims, int64_t workspace, int64_t threads = 256) {
    const int rank = dims.size();
    stack_.rows = narrow(dims[rank - 2]);
    stack_.columns = narrow(dims[rank - 1]);
    stack_.count = 1;
    for (int i = 0; i + 2 < rank; ++i) stack_.count *= dims[i];
    stack_.workspace = workspace;
    const int64_t widest = std::max(stack_.rows, stack_.columns);
    size_ = {{std::min(stack_.count, shared() ? int64_t(4096) : int64_t(264))},
             {std::clamp((widest + 31) / 32 * 32, int64_t(32), threads)},
             shared() ? workspace * 8 : 0};
  }

  const DeviceMatrices& stack() const { return stack_; }
  const LaunchSize& size() const { return size_; }
  size_t scratch() const { return shared() ? 0 : size_t(size_.grid.x * stack_.workspace) * 8; }
  DeviceMatrices at(const StepArgs& args) const {
    DeviceMatrices stack = stack_;
    if (!shared()) stack.scratch = reinterpret_cast<double*>(args.shared);
    return stack;
  }

 private:
  static int32_t narrow(int64_t size) {
    if (size > INT32_MAX) fail("UNSUPPORTED", "a matrix of more than 2^31 - 1 rows or columns");
    return int32_t(size);
  }
  bool shared() const { return stack_.workspace * 8 <= 40 << 10; }  // of 48 KiB that a block has without asking

  DeviceMatrices stack_;
  LaunchSize size_;
};

}  // namespace chainrule::cuda
