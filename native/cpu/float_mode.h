#pragma once

#include <cstdint>

namespace chainrule::cpu {

// While it lives, this thread flushes denormals (inputs and results) to signed zero; the previous mode comes back at
// the end.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(__builtin_ia32_stmxcsr()) {
    // FTZ (bit 15), DAZ (bit 6), all exceptions masked, round to nearest.
    __builtin_ia32_ldmxcsr((saved_ & ~0x6000u) | 0x8040u | 0x1F80u);
  }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(saved_); }

 private:
  uint32_t saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"((saved_ & ~(uint64_t(3) << 22)) | uint64_t(1) << 24));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#endif

 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace chainrule::cpu
