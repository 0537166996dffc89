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
  int64_t bytes() const;

  // Where the columns lie on a device; they are sent there at the first call. Empty if they would take more than a
  // quarter of its free memory.
  std::span<const std::byte* const> onDevice(OpenDevice& device, Machine& machine);
  void leaveDevice();  // gives up what that keeps
  // Where they lie if they were sent there before.
  std::span<const std::byte* const> keptOnDevice(const OpenDevice& device) const {
    return device_ == &device ? std::span<const std::byte* const>(columnsThere_) : std::span<const std::byte* const>();
  }

 private:
  void send(OpenDevice& device, Machine& machine);
  const Column& columnAt(size_t index) const;

  std::vector<Column> columns_;
  int64_t rows_ = 0;
  OpenDevice* device_ = nullptr;  // that was asked for last
  DeviceMemory there_;
  std::vector<const std::byte*> columnsThere_;
};

}  // namespace chainrule
