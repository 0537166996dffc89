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

int64_t Dataset::firstBad(size_t column, const Check& check) const {
  if (column >= columns_.size())
    fail("VALUE", "the dataset has ", columns_.size(), " columns, there is no column ", column);
  const ArrayRef& array = columns_[column].array;
  const int64_t count = elementCount(array.dims);
  const auto first = [&](auto* data) {
    for (int64_t i = 0; i < count; ++i) {
      if (!(double(data[i]) >= check.low && double(data[i]) < check.high)) return i;
    }
    return int64_t(-1);
  };
  switch (array.dtype) {
    case DType::f32: {
      const float* data = static_cast<const float*>(array.data);
      if (check.finite) {
        const int64_t bad = cpu::kernels().findNonFinite(data, 0, count);
        if (bad >= 0) return bad;
      }
      return check.bounded ? first(data) : -1;
    }
    case DType::i32: {
      const int32_t* data = static_cast<const int32_t*>(array.data);
      if (!check.bounded) return -1;
      const auto bound = [](double limit) {
        return int32_t(std::clamp<double>(std::ceil(limit), INT32_MIN, INT32_MAX));
      };
      if (check.high > INT32_MAX) return first(data);
      return cpu::kernels().findOutside(data, bound(check.low), bound(check.high), 0, count);
    }
    case DType::u32:
      return check.bounded ? first(static_cast<const uint32_t*>(array.data)) : -1;
    default:
      return check.bounded ? first(static_cast<const uint8_t*>(array.data)) : -1;
  }
}

}  // namespace chainrule
