#pragma once

#include <memory>

#include "cuda/gpu_queue.h"

namespace chainrule::cuda {

class GpuTransfer : public Transfer {
 public:
  explicit GpuTransfer(const Gpu& gpu) : gpu_(gpu), sent_(gpu, kUntimed) {}
  Outcome send(std::span<const DeviceCopy> copies) override {
    return gpu_.calling([&] {
      for (const DeviceCopy& copy : copies) {
        if (copy.bytes == 0) continue;
        gpu_.check(gpu_.driver.memcpyHtoDAsync(address(copy.to), copy.from, size_t(copy.bytes), gpu_.copies),
                   "copy to the GPU");
      }
      gpu_.check(gpu_.driver.eventRecord(sent_, gpu_.copies), "cuEventRecord");
    });
  }
  Outcome wait() override {
    return gpu_.calling([&] { gpu_.check(gpu_.driver.eventSynchronize(sent_), "copy to the GPU"); });
  }
  void before(CuStream stream) const { gpu_.check(gpu_.driver.streamWaitEvent(stream, sent_, 0), "cuStreamWaitEvent"); }

 private:
  const Gpu& gpu_;
  const Event sent_;
};

// Makes a graph of the steps, in which a step waits for those alone that it depends on.
std::unique_ptr<Recording> recordOn(const Gpu& gpu, GpuQueue& queue, const std::vector<Step>& steps,
                                    const DeviceFrame& frame);

}  // namespace chainrule::cuda
