#pragma once

#include <cstddef>
#include <vector>

#include "plan/device.h"

namespace chainrule::cuda {

// For each step of a walk the steps before it that it must wait for: they write what it reads or writes, or read what
// it writes. Those that others of them wait for are left out.
std::vector<std::vector<size_t>> dependenciesOf(const std::vector<Step>& steps, const DeviceFrame& frame);

// An order that keeps to them and is as far from the steps' own as can be: for an emulation, to see that they suffice.
std::vector<size_t> latestFirst(const std::vector<std::vector<size_t>>& dependencies);

}  // namespace chainrule::cuda
