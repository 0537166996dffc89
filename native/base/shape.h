#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/error.h"

namespace chainrule {

constexpr int kMaxRank = 8;

// A short vector of fixed capacity: shapes never allocate.
template <typename T>
class Small {
 public:
  Small() = default;
  Small(std::initializer_list<T> items) {
    for (const T& item : items) push(item);
  }
  Small(int size, const T& value) {
    for (int i = 0; i < size; ++i) push(value);
  }

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](int i) { return items_[i]; }
  const T& operator[](int i) const { return items_[i]; }
  T& back() { return items_[size_ - 1]; }
  const T& back() const { return items_[size_ - 1]; }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + size_; }
  T* begin() { return items_.data(); }
  T* end() { return items_.data() + size_; }
  const T* data() const { return items_.data(); }

  void push(const T& item) {
    if (size_ == kMaxRank) fail("SHAPE", "a tensor has at most ", kMaxRank, " dimensions");
    items_[size_++] = item;
  }
  void insert(int at, const T& item) {
    push(item);
    for (int i = size_ - 1; i > at; --i) items_[i] = items_[i - 1];
    items_[at] = item;
  }
  void erase(int at) {
    for (int i = at; i + 1 < size_; ++i) items_[i] = items_[i + 1];
    --size_;
  }
  void pop() { --size_; }

  bool operator==(const Small& other) const {
    if (size_ != other.size_) return false;
    for (int i = 0; i < size_; ++i) {
      if (!(items_[i] == other.items_[i])) return false;
    }
    return true;
  }

 private:
  std::array<T, kMaxRank> items_{};
  int size_ = 0;
};

// Concrete sizes, known once the batch size is.
using Dims = Small<int64_t>;

inline int64_t elementCount(const Dims& dims) {
  int64_t count = 1;
  for (int64_t dim : dims) {
    if (__builtin_mul_overflow(count, dim, &count)) fail("SHAPE", "a tensor has more than 2^63 elements");
  }
  return count;
}

// One dimension while tracing: a number, or that number times the batch size N.
struct Dim {
  int64_t value = 0;
  bool perBatch = false;

  Dim() = default;
  Dim(int64_t value, bool perBatch = false) : value(value), perBatch(perBatch) {}
  bool operator==(const Dim&) const = default;
  bool isOne() const { return value == 1 && !perBatch; }
  int64_t at(int64_t batch) const { return perBatch ? value * batch : value; }
  // The border's encoding: -k stands for k·N.
  int64_t encoded() const { return perBatch ? -value : value; }
  static Dim decoded(int64_t code) { return code < 0 ? Dim(-code, true) : Dim(code); }
};

using Shape = Small<Dim>;

inline bool hasBatch(const Shape& shape) {
  for (const Dim& dim : shape) {
    if (dim.perBatch) return true;
  }
  return false;
}

inline Dims concrete(const Shape& shape, int64_t batch) {
  Dims dims;
  for (const Dim& dim : shape) dims.push(dim.at(batch));
  return dims;
}

inline std::string toString(const Dim& dim) {
  if (!dim.perBatch) return std::to_string(dim.value);
  return dim.value == 1 ? "N" : std::to_string(dim.value) + "N";
}
inline std::string toString(int64_t dim) { return std::to_string(dim); }

template <typename T>
std::string toString(const Small<T>& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + toString(shape[i]);
  return text + "]";
}

// A product of dimensions that stays exact with one symbolic factor N.
inline Dim product(const Shape& shape) {
  Dim total(1);
  for (const Dim& dim : shape) {
    if (total.perBatch && dim.perBatch) fail("SHAPE", "a dimension would be N x N in ", toString(shape));
    total = Dim(total.value * dim.value, total.perBatch || dim.perBatch);
  }
  return total;
}

// Sizes before, on and after an axis.
struct AxisSplit {
  int64_t outer = 1, n = 1, inner = 1;
};
inline AxisSplit splitAt(const Dims& dims, int axis) {
  AxisSplit split;
  for (int i = 0; i < dims.size(); ++i) (i < axis ? split.outer : i == axis ? split.n : split.inner) *= dims[i];
  return split;
}

}  // namespace chainrule
