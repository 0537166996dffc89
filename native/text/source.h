#pragma once

#include <memory>

#include "text/strings.h"

namespace chainrule::text {

// What a host layer is fed: strings, or integers that are looked up by their decimal digits. Rows are `rowSize`
// elements each, or end where `rowEnds` says.
struct Source {
  StringsView strings;
  const double* numbers = nullptr;  // instead of strings
  int64_t count = 0;
  int64_t rowSize = 1;
  const int32_t* rowEnds = nullptr;
  int64_t rows = 0;
  std::vector<std::shared_ptr<const void>> owners;  // keep the memory alive

  int64_t rowBegin(int64_t row) const { return rowEnds ? (row == 0 ? 0 : rowEnds[row - 1]) : row * rowSize; }
  int64_t rowEnd(int64_t row) const { return rowEnds ? rowEnds[row] : (row + 1) * rowSize; }
  // Throws when offsets or rows point anywhere but forward and inside.
  void check(int64_t byteCount) const;
};

// The elements of some rows as strings: those of the source, or digits written here.
class Elements {
 public:
  explicit Elements(const Source& source) : source_(source) {}
  // Strings [0, end − begin) are those of the row.
  StringsView row(int64_t row);

 private:
  const Source& source_;
  Strings digits_;
};

}  // namespace chainrule::text
