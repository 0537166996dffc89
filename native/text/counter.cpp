#include "text/counter.h"

#include <algorithm>
#include <charconv>

namespace chainrule::text {
namespace {

constexpr int64_t kTokensPerStep = 4096;

int64_t numberOf(std::string_view digits) {
  int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

int64_t Counter::add(const Source& source, Elements& elements, Tokenizer& tokenizer, int64_t first) {
  int64_t done = 0;
  for (; first < source.rows && done < kTokensPerStep; ++first) {
    const StringsView strings = elements.row(first);
    tokens_.clear();
    tokenizer.row(strings, 0, strings.count, tokens_);
    for (const std::string_view token : tokens_) {
      auto found = counts_.find(token);
      if (found == counts_.end()) found = counts_.emplace(std::string(token), Count{}).first;
      Count& count = found->second;
      ++count.total;
      if (count.last != documents_) ++count.documents;
      count.last = documents_;
    }
    ++documents_;
    done += int64_t(tokens_.size()) + 1;
  }
  return first;
}

Counter::Ranking Counter::ranking(int64_t limit, const std::vector<std::string>& without, bool integers) const {
  using Entry = std::pair<const std::string, Count>;
  std::vector<const Entry*> entries;
  entries.reserve(counts_.size());
  for (const Entry& entry : counts_)
    if (std::find(without.begin(), without.end(), entry.first) == without.end()) entries.push_back(&entry);
  const size_t kept = limit < 0 ? entries.size() : std::min(entries.size(), size_t(limit));
  std::partial_sort(entries.begin(), entries.begin() + int64_t(kept), entries.end(),
                    [integers](const Entry* a, const Entry* b) {
                      if (a->second.total != b->second.total) return a->second.total > b->second.total;
                      return integers ? numberOf(a->first) > numberOf(b->first) : a->first > b->first;
                    });
  Ranking ranking;
  for (size_t i = 0; i < kept; ++i) {
    ranking.tokens.push(entries[i]->first);
    ranking.documents.push_back(entries[i]->second.documents);
  }
  return ranking;
}

}  // namespace chainrule::text
