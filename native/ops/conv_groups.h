#pragma once

#include "cpu/types.h"
#include "plan/conv_shape.h"

namespace chainrule::ops {

// How the CPU computes a convolution: on panels of the filter; channel by channel; or, of groups of few channels,
// channel by channel over rows that are spread out.
enum class ConvKind : uint8_t { panels, depthwise, smallGroups };

inline ConvKind convKind(const ConvShape& s) {
  if (s.groups == 1) return ConvKind::panels;
  if (s.groupIn() == 1) return s.groupOut() == 1 ? ConvKind::depthwise : ConvKind::smallGroups;
  // Measured: panels would be mostly empty. With dilation the rows of a group's channels have no common distance.
  return s.groupIn() <= 4 && s.groupOut() <= 8 && s.dilationH == 1 ? ConvKind::smallGroups : ConvKind::panels;
}

// A convolution of small groups as a depthwise one with as many channels as the output. Channel k of all groups makes
// an image of its own, in which each value stands once for each output channel of its group; row i of these images are
// rows i * in ... of one image, and the window has `in` rows for one.
class SmallGroups {
 public:
  SmallGroups() = default;
  explicit SmallGroups(const ConvShape& shape);

  size_t filterBytes() const { return in_ > 1 ? size_t(shape_.filterRows() * shape_.cout * 4) : 0; }
  size_t scratchBytes() const { return size_t(slots_ * in_ * shape_.w * shape_.cout * 4); }
  size_t inputScratchBytes() const { return size_t(inputBlock_ * shape_.w * shape_.cout * 4); }

  // The filter [kh][kw][in][cout] as [kh][in][kw][cout], and back; as [in][kh][kw][cout]. Range: filter rows kh.
  void arrange(const float* filter, float* arranged, Range rows) const;
  void restore(const float* arranged, float* filter, Range rows) const;
  void arrangeForInput(const float* filter, float* arranged, Range rows) const;

  void forward(const cpu::KernelTable& k, const float* x, const float* arranged, const float* bias,
               cpu::Activation activation, float* y, Range rows, std::byte* scratch) const;
  void backwardData(const cpu::KernelTable& k, const float* dy, const float* arrangedForInput, float* dx, Range rows,
                    std::byte* scratch) const;
  // Adds to dw, arranged.
  void backwardFilter(const cpu::KernelTable& k, const float* x, const float* dy, float* dw, Range rows,
                      std::byte* scratch) const;

 private:
  // Calls body(depthwise shape, spread rows, first output row) for blocks of output rows.
  template <typename Body>
  void eachBlock(const cpu::KernelTable& k, const float* x, Range rows, std::byte* scratch, Body body) const;

  ConvShape shape_;
  int64_t in_ = 1, out_ = 1;       // channels of a group
  int64_t block_ = 1, slots_ = 1;  // output rows at a time, and source rows that they need
  int64_t inputBlock_ = 1;         // rows of dx at a time
};

}  // namespace chainrule::ops
