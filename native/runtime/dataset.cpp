#include "runtime/dataset.h"

#include <algorithm>
#include <cmath>

#include "cpu/kernel_table.h"

namespace chainrule {

Dataset::Dataset(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) fail("INPUT", "a dataset needs at least one array");
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].array.dims.empty())
      fail("SHAPE", "array ", i, " of the dataset is a scalar; its first axis must be the rows");
    const int64_t rows = columns_[i].array.dims[0];
    if (i == 0) rows_ = rows;
    if (rows != rows_)
      fail("SHAPE", "array ", i, " has ", rows, " rows, array 0 has ", rows_, ". All need equally many");
  }
}

namespace {

// Of the elements [begin, end): the first outside the bounds, or -1.
template <typename T>
int64_t firstOutside(const T* data, const Dataset::Check& check, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    if (!(double(data[i]) >= check.low && double(data[i]) < check.high)) return i;
  }
  return -1;
}

int64_t firstBadOf(const ArrayRef& array, const Dataset::Check& check, int64_t begin, int64_t end) {
  if (array.dtype == DType::f32 && check.finite) {
    const int64_t bad = cpu::kernels().findNonFinite(static_cast<const float*>(array.data), begin, end);
    if (bad >= 0) return bad;
  }
  if (!check.bounded || begin >= end) return -1;
  switch (array.dtype) {
    case DType::f32:
      return firstOutside(static_cast<const float*>(array.data), check, begin, end);
    case DType::i32: {
      const auto* data = static_cast<const int32_t*>(array.data);
      if (check.high > INT32_MAX) return firstOutside(data, check, begin, end);
      const auto bound = [](double limit) { return int32_t(std::max<double>(std::ceil(limit), INT32_MIN)); };
      return cpu::kernels().findOutside(data, bound(check.low), bound(check.high), begin, end);
    }
    case DType::u32:
      return firstOutside(static_cast<const uint32_t*>(array.data), check, begin, end);
    case DType::i8:
      return firstOutside(static_cast<const int8_t*>(array.data), check, begin, end);
    case DType::u8:
    case DType::boolean:
      return firstOutside(static_cast<const uint8_t*>(array.data), check, begin, end);
    case DType::bf16:  // never at the border
      break;
  }
  return -1;
}

}  // namespace

const Column& Dataset::columnAt(size_t index) const {
  if (index >= columns_.size())
    fail("VALUE", "the dataset has ", columns_.size(), " columns, there is no column ", index);
  return columns_[index];
}

bool Dataset::isLarge(size_t column) const {
  const ArrayRef& array = columnAt(column).array;
  return elementCount(array.dims) * byteSize(array.dtype) >= int64_t(1) << 20;
}

int64_t Dataset::firstBad(size_t column, const Check& check, Machine& machine) const {
  const ArrayRef& array = columnAt(column).array;
  std::vector<int64_t> found(size_t(machine.members()), -1);
  machine.share([&](int member) {
    const cpu::Range part = cpu::partOf(elementCount(array.dims), 16, member, machine.members());
    found[size_t(member)] = firstBadOf(array, check, part.begin, part.end);
  });
  const auto first = std::find_if(found.begin(), found.end(), [](int64_t index) { return index >= 0; });
  return first == found.end() ? -1 : *first;
}

}  // namespace chainrule
