#pragma once

namespace chainrule::cuda {

// Four neighbours that are moved at once.
struct alignas(16) Four {
  float v[4];
};

}  // namespace chainrule::cuda
