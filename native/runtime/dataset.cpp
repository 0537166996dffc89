#include "runtime/dataset.h"

#include <algorithm>
#include <cmath>

#include "base/pieces.h"
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

int64_t Dataset::bytes() const {
  int64_t bytes = 0;
  for (const Column& column : columns_) bytes += rows_ * column.rowBytes();
  return bytes;
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

namespace {

// A quarter of what is free, for all processes and within this one's limit.
int64_t roomOn(OpenDevice& device) {
  const auto lock = device.lock();
  const DeviceMemoryUse use = device.device->memoryUse();
  int64_t free = use.free < 0 ? device.device->description().memoryBytes - use.used : use.free + use.held - use.used;
  if (device.memoryLimit() > 0) free = std::min(free, device.memoryLimit() - use.used);
  return free / 4;
}

}  // namespace

std::span<const std::byte* const> Dataset::onDevice(OpenDevice& device, Machine& machine) {
  if (device_ == &device) return columnsThere_;
  device_ = &device;
  there_ = DeviceMemory();
  columnsThere_.clear();
  Pieces<256> there;
  for (const Column& column : columns_) there.add(rows_ * column.rowBytes());
  if (there.size > roomOn(device)) return columnsThere_;
  try {
    there_ = DeviceMemory(device, std::max<int64_t>(there.size, 1));
    send(device, machine);
  } catch (const Error& error) {
    leaveDevice();
    if (error.code() == "DEVICE_OOM") return columnsThere_;
    device_ = nullptr;
    throw;
  }
  return columnsThere_;
}

// Batches go over one by one; not tried again on that device.
void Dataset::leaveDevice() {
  columnsThere_.clear();
  there_ = DeviceMemory();
}

// In pieces through two staging buffers: all members fill one while the other goes over.
void Dataset::send(OpenDevice& device, Machine& machine) {
  const int64_t piece = std::min<int64_t>(8 << 20, there_.size());
  struct Side {
    HostStaging staging;
    OpenDevice::Transfers transfer;
  } sides[2];
  for (Side& side : sides) {
    side.staging = HostStaging(device, piece);
    const auto lock = device.lock();
    side.transfer = device.transfer();
    device.device->finish().orThrow();  // of whoever had this memory before
  }
  Pieces<256> there;
  int next = 0;
  for (const Column& column : columns_) {
    const int64_t bytes = rows_ * column.rowBytes();
    std::byte* const to = there_.data() + there.add(bytes);
    for (int64_t at = 0; at < bytes; at += piece) {
      Side& side = sides[next];
      next = 1 - next;
      const int64_t size = std::min(piece, bytes - at);
      const auto wait = [&] {
        const auto lock = device.lock();
        side.transfer->wait().orThrow();
      };
      wait();
      machine.copy(side.staging.data(), static_cast<const std::byte*>(column.array.data) + at, size);
      const auto lock = device.lock();
      const DeviceCopy copy{to + at, side.staging.data(), size};
      side.transfer->send({&copy, 1}).orThrow();
    }
    columnsThere_.push_back(to);
  }
  for (Side& side : sides) {
    const auto lock = device.lock();
    side.transfer->wait().orThrow();
  }
}

}  // namespace chainrule
