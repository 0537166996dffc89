#include "base/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace chainrule {
namespace {

std::atomic<int64_t> liveBytes{0};
std::atomic<int64_t> allocations{0};

constexpr size_t kMapped = 1 << 21;  // from here on whole pages are mapped, huge where the system allows it

size_t physicalMemory() {
  static const size_t bytes = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  return bytes;
}

void* allocate(size_t bytes) {
  // Linux promises memory it doesn't have; a request beyond the machine would end in the OOM killer instead of an
  // error.
  if (bytes > physicalMemory()) return nullptr;
  if (bytes < kMapped) return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

Buffer::Buffer(size_t bytes, bool zeroed) : size_(bytes) {
  if (bytes == 0) return;
  data_ = static_cast<std::byte*>(allocate(bytes));
  if (!data_) {
    size_ = 0;
    fail("OOM", "out of memory: ", bytes, " bytes asked (", bytes >> 20, " MiB), ", liveBytes.load() >> 20,
         " MiB in use by Chainrule, ", physicalMemory() >> 20, " MiB in the machine. Use a smaller batch or model.");
  }
  if (zeroed && bytes < kMapped) std::memset(data_, 0, bytes);
  liveBytes += int64_t(bytes);
  ++allocations;
}

Buffer::~Buffer() {
  if (!data_) return;
  liveBytes -= int64_t(size_);
  if (size_ < kMapped) {
    std::free(data_);
  } else {
    munmap(data_, size_);
  }
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MemoryCounters memoryCounters() { return {liveBytes.load(), allocations.load()}; }

}  // namespace chainrule
