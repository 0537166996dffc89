#include "base/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"

namespace chainrule {
namespace {

std::atomic<int64_t> liveBytes{0};
std::atomic<int64_t> allocations{0};

constexpr size_t kMapped = 1 << 17;    // from here on whole pages are mapped
constexpr size_t kHugePage = 1 << 21;  // of x86-64 and of aarch64 with 4-KiB pages
constexpr size_t kSpareBytes = 32 << 20;

size_t physicalMemory() {
  static const size_t bytes = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  return bytes;
}

size_t wholePages(size_t bytes) {
  static const size_t page = size_t(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

// Fresh zero pages. Only a mapping that begins on a huge page's boundary consists of them, so a large one asks for
// more and gives the ends back.
std::byte* map(size_t bytes) {
  const size_t surplus = bytes < kHugePage ? 0 : kHugePage;
  void* memory = mmap(nullptr, bytes + surplus, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  std::byte* const start = static_cast<std::byte*>(memory);
  if (!surplus) return start;
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
  if (before > 0) munmap(start, before);
  if (before < surplus) munmap(start + before + bytes, surplus - before);
  preferHugePages(start + before, bytes);
  return start + before;
}

// The last few mappings given back. A call that takes and drops megabytes would else spend its time on page faults:
// the kernel zeroes a fresh page at about the speed at which a layer fills it.
class SparePages {
 public:
  std::byte* take(size_t bytes) {
    const std::lock_guard guard(mutex_);
    const auto found = std::find_if(pages_.begin(), pages_.end(), [&](const Pages& p) { return p.bytes == bytes; });
    if (found == pages_.end()) return nullptr;
    std::byte* const data = found->data;
    held_ -= bytes;
    pages_.erase(found);
    return data;
  }
  void give(std::byte* data, size_t bytes) {
    if (bytes > kSpareBytes / 2) {
      munmap(data, bytes);
      return;
    }
    const std::lock_guard guard(mutex_);
    pages_.push_back({data, bytes});
    held_ += bytes;
    while (held_ > kSpareBytes) dropOldest();
  }
  void dropAll() {
    const std::lock_guard guard(mutex_);
    while (!pages_.empty()) dropOldest();
  }

 private:
  struct Pages {
    std::byte* data;
    size_t bytes;
  };
  void dropOldest() {
    munmap(pages_.front().data, pages_.front().bytes);
    held_ -= pages_.front().bytes;
    pages_.erase(pages_.begin());
  }
  std::mutex mutex_;
  std::vector<Pages> pages_;  // the oldest first
  size_t held_ = 0;
};

SparePages& sparePages() {
  static SparePages* const pages = new SparePages;  // outlives every static Buffer
  return *pages;
}

std::byte* allocate(size_t bytes, bool zeroed) {
  // Linux promises memory it doesn't have; a request beyond the machine would end in the OOM killer instead of an
  // error.
  if (bytes > physicalMemory()) return nullptr;
  if (bytes < kMapped) {
    auto* data = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (data && zeroed) std::memset(data, 0, bytes);
    return data;
  }
  const size_t mapped = wholePages(bytes);
  if (std::byte* spare = sparePages().take(mapped)) {
    if (zeroed) std::memset(spare, 0, bytes);
    return spare;
  }
  std::byte* data = map(mapped);
  if (data) return data;
  sparePages().dropAll();
  return map(mapped);
}

}  // namespace

void preferHugePages(void* data, size_t bytes) {
  std::byte* const start = static_cast<std::byte*>(data);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
  if (bytes >= before + kHugePage) madvise(start + before, bytes - before, MADV_HUGEPAGE);
}

Buffer::Buffer(size_t bytes, bool zeroed) : size_(bytes) {
  if (bytes == 0) return;
  data_ = allocate(bytes, zeroed);
  if (!data_) {
    size_ = 0;
    fail("OOM", "out of memory: ", bytes, " bytes asked (", bytes >> 20, " MiB), ", liveBytes.load() >> 20,
         " MiB in use by Chainrule, ", physicalMemory() >> 20, " MiB in the machine. Use a smaller batch or model.");
  }
  liveBytes += int64_t(bytes);
  ++allocations;
}

Buffer::~Buffer() {
  if (!data_) return;
  liveBytes -= int64_t(size_);
  if (size_ < kMapped) {
    std::free(data_);
  } else {
    sparePages().give(data_, wholePages(size_));
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
