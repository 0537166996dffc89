#include "cuda/kernels/factor.cuh"

#include "cuda/ops/matrices.h"

namespace chainrule::cuda {
namespace {

Lowering lowerQr(const LowerContext& c) {
  const Dims& a = c.in[0].dims;
  const int64_t m = a[a.size() - 2], n = a[a.size() - 1], k = std::min(m, n);
  const MatrixLaunch matrices(a, m * n + m * k + 2 * k);
  Lowering result{.launch = [=, orthogonal = bool(c.used[0]), factor = bool(c.used[1])](const StepArgs& args) {
    queueOf(args).launch(KERNEL(qrKernel), matrices.size(), matrices.at(args), args.in<float>(0),
                         orthogonal ? args.out<float>(0) : nullptr, factor ? args.out<float>(1) : nullptr);
  }};
  result.sharedScratch = matrices.scratch();
  return result;
}

Lowering lowerSvd(const LowerContext& c) {
  const Dims& a = c.in[0].dims;
  const int64_t m = a[a.size() - 2], n = a[a.size() - 1], k = std::min(m, n);
  const MatrixLaunch matrices(a, m * n + k * k + 3 * k, std::max(m, n) <= 512 ? 32 : 256);  // many short sums
  Lowering result{
      .launch = [=, values = bool(c.used[0]), u = bool(c.used[1]), v = bool(c.used[2])](const StepArgs& args) {
        const auto part = [&](int i, bool used) { return used ? args.out<float>(i) : nullptr; };
        queueOf(args).launch(KERNEL(svdKernel), matrices.size(), matrices.at(args), args.in<float>(0), part(0, values),
                             part(1, u), part(2, v));
      }};
  result.sharedScratch = matrices.scratch();
  return result;
}

Lowering lowerOrthogonal(const LowerContext& c) {
  const int64_t rows = c.out[0].dims[0], columns = c.out[0].dims[1], count = std::min(rows, columns);
  Lowering result{.launch = [=, gain = float(c.attrs().real("gain", 1))](const StepArgs& args) {
    double* const vectors = reinterpret_cast<double*>(args.shared);
    queueOf(args).launch(KERNEL(orthogonalKernel), {{1}, {512}}, args.in<uint32_t>(0), int32_t(rows), int32_t(columns),
                         gain, vectors, vectors + rows * columns, args.out<float>());
  }};
  result.sharedScratch = size_t(rows * columns + count) * 8;
  return result;
}

constexpr Launcher table[] = {{"qr", lowerQr}, {"svd", lowerSvd}, {"orthogonal", lowerOrthogonal}};

}  // namespace

Launchers factorLaunchers() { return table; }

}  // namespace chainrule::cuda
