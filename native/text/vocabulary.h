#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "text/hash.h"
#include "text/strings.h"

namespace chainrule::text {

struct TokenHash {
  using is_transparent = void;
  size_t operator()(std::string_view token) const { return size_t(fingerprint64(token)); }
};

// Tokens and their indices; the table is made when it is first asked, which is on a background thread.
class Vocabulary {
 public:
  explicit Vocabulary(Strings tokens) : tokens_(std::move(tokens)) {}
  const Strings& tokens() const { return tokens_; }
  int64_t find(std::string_view token) const;  // -1 when it is not there

 private:
  Strings tokens_;
  mutable std::once_flag made_;
  mutable std::unordered_map<std::string_view, int32_t, TokenHash> table_;
};

// Which id a token gets: mask, vocabulary, or one of the buckets for what is out of vocabulary.
struct IdRule {
  std::shared_ptr<const Vocabulary> vocabulary;
  int32_t firstToken = 0;   // the id of the vocabulary's first token
  int32_t firstBucket = 0;  // ids of buckets are [firstBucket, firstBucket + buckets)
  int32_t buckets = 0;
  std::optional<std::string> mask;
  int32_t maskId = 0;
  bool modulo = false;  // tokens are integers, and buckets follow from their remainder
  std::optional<std::array<uint64_t, 2>> salt;

  int32_t idOf(std::string_view token) const;  // -1: out of vocabulary, and there is no bucket
};

}  // namespace chainrule::text
