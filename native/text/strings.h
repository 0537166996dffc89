#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace chainrule::text {

// UTF-8 strings one after another: string i is bytes [offsets[i], offsets[i + 1]). The memory belongs to somebody else.
struct StringsView {
  const char* bytes = nullptr;
  const int32_t* offsets = nullptr;
  int64_t count = 0;
  std::string_view at(int64_t i) const { return {bytes + offsets[i], size_t(offsets[i + 1] - offsets[i])}; }
};

struct Strings {
  std::string bytes;
  std::vector<int32_t> offsets{0};

  int64_t count() const { return int64_t(offsets.size()) - 1; }
  StringsView view() const { return {bytes.data(), offsets.data(), count()}; }
  std::string_view at(int64_t i) const { return view().at(i); }
  void push(std::string_view text) {
    if (bytes.size() + text.size() > size_t(std::numeric_limits<int32_t>::max()))
      fail("INPUT", "the strings take more than 2 GiB; pass them in batches");
    bytes += text;
    offsets.push_back(int32_t(bytes.size()));
  }
};

}  // namespace chainrule::text
