#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace chainrule {

// Native memory, 64-byte aligned. All large allocations go through here, so they can be counted and can fail with a
// code.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes, bool zeroed = false);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// For memory that nobody has written to yet: the huge pages that lie in it whole come at one fault each.
void preferHugePages(void* data, size_t bytes);

struct MemoryCounters {
  int64_t liveBytes = 0;
  int64_t allocations = 0;  // since the process started
};
MemoryCounters memoryCounters();

}  // namespace chainrule
