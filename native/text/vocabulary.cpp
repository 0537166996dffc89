#include "text/vocabulary.h"

#include <charconv>

namespace chainrule::text {

int64_t Vocabulary::find(std::string_view token) const {
  std::call_once(made_, [this] {
    table_.reserve(size_t(tokens_.count()));
    for (int64_t i = 0; i < tokens_.count(); ++i) table_.emplace(tokens_.at(i), int32_t(i));
  });
  const auto found = table_.find(token);
  return found == table_.end() ? -1 : found->second;
}

int32_t IdRule::idOf(std::string_view token) const {
  if (mask && token == *mask) return maskId;
  const int64_t known = vocabulary->find(token);
  if (known >= 0) return firstToken + int32_t(known);
  if (buckets <= 1) return buckets == 1 ? firstBucket : -1;
  if (modulo) {
    int64_t number = 0;
    std::from_chars(token.data(), token.data() + token.size(), number);
    const int64_t rest = number % buckets;
    return firstBucket + int32_t(rest < 0 ? rest + buckets : rest);
  }
  const uint64_t hash = salt ? sipHash(token, *salt) : fingerprint64(token);
  return firstBucket + int32_t(hash % uint64_t(buckets));
}

}  // namespace chainrule::text
