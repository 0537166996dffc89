#include "text/source.h"

#include <charconv>

namespace chainrule::text {

void Source::check(int64_t byteCount) const {
  if (!numbers) {
    bool fits = strings.count == count && strings.offsets[0] == 0 && strings.offsets[count] == byteCount;
    for (int64_t i = 0; i < count && fits; ++i) fits = strings.offsets[i] <= strings.offsets[i + 1];
    if (!fits) fail("INPUT", "the offsets of strings must ascend from 0 to the number of bytes");
  }
  bool fits = rowEnds ? rows == 0 || rowEnds[rows - 1] == count : rows * rowSize == count;
  for (int64_t row = 0; row < rows && fits; ++row) fits = rowBegin(row) <= rowEnd(row);
  if (!fits) fail("INPUT", "the rows of strings must cover all of them");
}

StringsView Elements::row(int64_t row) {
  const int64_t begin = source_.rowBegin(row), end = source_.rowEnd(row);
  if (!source_.numbers) return {source_.strings.bytes, source_.strings.offsets + begin, end - begin};
  digits_.bytes.clear();
  digits_.offsets.assign(1, 0);
  for (int64_t i = begin; i < end; ++i) {
    char text[24];
    const auto written = std::to_chars(text, text + sizeof text, int64_t(source_.numbers[i]));
    digits_.push({text, size_t(written.ptr - text)});
  }
  return digits_.view();
}

}  // namespace chainrule::text
