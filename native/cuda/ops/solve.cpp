#include "cuda/kernels/solve.cuh"

#include "cuda/ops/matrices.h"

namespace chainrule::cuda {
namespace {

Lowering lowerSolve(const LowerContext& c) {
  const Dims &a = c.in[0].dims, &b = c.in[1].dims;
  const int64_t n = a[a.size() - 1], columns = b[b.size() - 1];
  const MatrixLaunch matrices(a, n * (n + columns));
  Lowering result{.launch = [=](const StepArgs& args) {
    queueOf(args).launch(KERNEL(solveKernel), matrices.size(), matrices.at(args), args.in<float>(0), args.in<float>(1),
                         int32_t(columns), args.out<float>());
  }};
  result.sharedScratch = matrices.scratch();
  return result;
}

Lowering lowerInverse(const LowerContext& c) {
  const Dims& a = c.in[0].dims;
  const int64_t n = a[a.size() - 1];
  const MatrixLaunch matrices(a, 2 * n * n);
  Lowering result{.launch = [=](const StepArgs& args) {
    queueOf(args).launch(KERNEL(solveKernel), matrices.size(), matrices.at(args), args.in<float>(0), nullptr,
                         int32_t(n), args.out<float>());
  }};
  result.sharedScratch = matrices.scratch();
  return result;
}

Lowering lowerDeterminant(const LowerContext& c) {
  const Dims& a = c.in[0].dims;
  const int64_t n = a[a.size() - 1];
  const MatrixLaunch matrices(a, n * n);
  Lowering result{
      .launch = [=, value = bool(c.used[0]), log = bool(c.used[1]), sign = bool(c.used[2])](const StepArgs& args) {
        const auto part = [&](int i, bool used) { return used ? args.out<float>(i) : nullptr; };
        queueOf(args).launch(KERNEL(determinantKernel), matrices.size(), matrices.at(args), args.in<float>(0),
                             part(0, value), part(1, log), part(2, sign));
      }};
  result.sharedScratch = matrices.scratch();
  return result;
}

Lowering lowerCholesky(const LowerContext& c) {
  const Dims& a = c.in[0].dims;
  const int64_t n = a[a.size() - 1];
  const MatrixLaunch matrices(a, n * n);
  Lowering result{.launch = [=](const StepArgs& args) {
    queueOf(args).launch(KERNEL(choleskyKernel), matrices.size(), matrices.at(args), args.in<float>(0),
                         args.out<float>());
  }};
  result.sharedScratch = matrices.scratch();
  return result;
}

Lowering lowerCholeskyGradient(const LowerContext& c) {
  const Dims& a = c.in[0].dims;
  const int64_t n = a[a.size() - 1];
  const MatrixLaunch matrices(a, 2 * n * n);
  Lowering result{.launch = [=](const StepArgs& args) {
    queueOf(args).launch(KERNEL(choleskyGradientKernel), matrices.size(), matrices.at(args), args.in<float>(0),
                         args.in<float>(1), args.out<float>());
  }};
  result.sharedScratch = matrices.scratch();
  return result;
}

constexpr Launcher table[] = {{"solve", lowerSolve},
                              {"inverse", lowerInverse},
                              {"determinant", lowerDeterminant},
                              {"cholesky", lowerCholesky},
                              {"choleskyGradient", lowerCholeskyGradient}};

}  // namespace

Launchers solveLaunchers() { return table; }

}  // namespace chainrule::cuda
