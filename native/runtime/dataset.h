#pragma once

#include <memory>
#include <vector>

#include "runtime/program.h"

namespace chainrule {

// Arrays that share their first axis. The memory is the dataset's own, or pinned through `owner`.
struct Column {
  ArrayRef array;
  std::shared_ptr<const void> owner;
  int64_t rowBytes() const {
    return array.dims[0] == 0 ? 0 : elementCount(array.dims) * byteSize(array.dtype) / array.dims[0];
  }
};

class Dataset {
 public:
  explicit Dataset(std::vector<Column> columns);
  int64_t rows() const { return rows_; }
  const std::vector<Column>& columns() const { return columns_; }

  struct Check {
    bool finite = false;
    bool bounded = false;
    double low = 0, high = 0;  // [low, high)
  };
  // Index of the first element of a column that fails the check, or -1. The team looks together.
  int64_t firstBad(size_t column, const Check& check, Machine& machine) const;
  // Whether that is work for a team.
  bool isLarge(size_t column) const;

 private:
  const Column& columnAt(size_t index) const;

  std::vector<Column> columns_;
  int64_t rows_ = 0;
};

}  // namespace chainrule
