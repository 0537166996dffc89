#pragma once

#include <cstdint>
#include <string>

namespace chainrule::cuda {

// Bytes that no process uses of the GPU with this PCI bus id. libnvidia-ml.so.1, which comes with the driver, says it
// without a context, which alone would take hundreds of megabytes. Negative where it does not.
int64_t freeMemoryAt(const std::string& busId);

}  // namespace chainrule::cuda
