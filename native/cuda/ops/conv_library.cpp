#include "cuda/ops/conv_library.h"

#include <algorithm>

#include "base/pieces.h"
#include "cuda/devices.h"
#include "cuda/ops/move.h"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {

const DnnDevice* cudnnOf(const LowerContext& node) {
  if (node.in[0].dtype != DType::f32 || node.in[1].dtype != DType::f32) return nullptr;
  return librariesOf(node).cudnn();
}

std::optional<Lowering> lowerByCudnn(const LowerContext& node, const DnnDevice& device, const ConvShape& shape,
                                     ConvolutionPass pass, const Epilogue& epilogue, const OwnEpilogue& own,
                                     const Lowering& here, Refusal refusal) {
  const bool tf32 = node.precision == MatmulPrecision::high;
  const auto convolution = CudnnConvolution::make(device, shape, pass, tf32, own.biasInput >= 0, own.relu);
  if (!convolution) return std::nullopt;

  // Filters lie here as [kh, kw, cin, cout], for the library as [cout, kh, kw, cin].
  const int64_t rows = shape.filterRows(), columns = shape.cout;
  Pieces<256> scratch;
  scratch.add(rows * columns * int64_t(sizeof(float)));
  const int64_t workspaceAt = scratch.add(convolution->scratchBytes());
  Lowering lowering = here;
  lowering.sharedScratch = std::max(here.sharedScratch, size_t(scratch.size));
  lowering.launch = [=, alone = here.launch](const StepArgs& args) {
    // Parts of something may start anywhere.
    if (!startAt16({args.in<float>(0), args.in<float>(1), args.out<float>()})) return alone(args);
    Queue& queue = queueOf(args);
    float* const filter = reinterpret_cast<float*>(args.shared);
    float* const first = const_cast<float*>(args.in<float>(0));
    float* const second = const_cast<float*>(args.in<float>(1));
    float* const out = args.out<float>();
    void* const workspace = args.shared + workspaceAt;
    const auto refused = [&] {
      if (refusal == Refusal::fails)
        fail("DEVICE", "cuDNN does not support a convolution that the autotune file gives it. Delete the line");
      alone(args);
    };
    if (pass == ConvolutionPass::filter) {
      if (!convolution->run(queue.stream(), first, filter, second, nullptr, workspace)) return refused();
      transposeMatrix(queue, filter, out, columns, rows);
    } else {
      transposeMatrix(queue, second, filter, rows, columns);
      const bool forward = pass == ConvolutionPass::forward;
      const float* const bias = static_cast<const float*>(own.bias(args));
      float *const x = forward ? first : out, *const y = forward ? out : first;
      if (!convolution->run(queue.stream(), x, filter, y, bias, workspace)) return refused();
    }
    epilogue.run(args);
  };
  return lowering;
}

}  // namespace chainrule::cuda
