#pragma once

#include <unordered_map>

#include "text/source.h"
#include "text/tokens.h"
#include "text/vocabulary.h"

namespace chainrule::text {

// Counts tokens, and documents that hold them, over many batches: what a vocabulary is learned from.
class Counter {
 public:
  // Counts rows [first, …) of a batch until some work is done; returns the first row that is left.
  int64_t add(const Source& source, Elements& elements, Tokenizer& tokenizer, int64_t first);
  int64_t documents() const { return documents_; }

  struct Ranking {
    Strings tokens;
    std::vector<int32_t> documents;  // that hold the token
  };
  // The most frequent tokens but those of `without`, ties by the token downwards: by its bytes, or its number.
  Ranking ranking(int64_t limit, const std::vector<std::string>& without, bool integers) const;

 private:
  struct Count {
    int64_t total = 0;
    int32_t documents = 0;
    int64_t last = -1;  // the document that was counted last
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a == b; }
  };
  std::unordered_map<std::string, Count, TokenHash, Equal> counts_;
  int64_t documents_ = 0;
  std::vector<std::string_view> tokens_;
};

}  // namespace chainrule::text
