#include "text/cross.h"

#include "text/hash.h"

namespace chainrule::text {

std::vector<int32_t> crossed(const std::vector<Source>& features, int64_t bins) {
  constexpr uint64_t key = 0xDECAFCAFFEULL;  // TensorFlow's default
  const int64_t count = features.front().count;
  std::vector<int32_t> result;
  result.reserve(size_t(count));
  for (int64_t i = 0; i < count; ++i) {
    uint64_t hash = key;
    for (const Source& feature : features) {
      const uint64_t one =
          feature.numbers ? uint64_t(int64_t(feature.numbers[i])) : fingerprint64(feature.strings.at(i));
      hash = joinFingerprints(hash, one);
    }
    result.push_back(int32_t(hash % uint64_t(bins)));
  }
  return result;
}

}  // namespace chainrule::text
