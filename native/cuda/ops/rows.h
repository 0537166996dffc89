#pragma once

#include "cuda/queue.h"
#include "cuda/rows.h"

namespace chainrule::cuda {

// Chooses the kernel and `lanes`.
void launchRows(Queue& queue, DeviceRows rows);

}  // namespace chainrule::cuda
