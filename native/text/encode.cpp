#include "text/encode.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace chainrule::text {
namespace {

// Tokens between two looks at what else is queued: well under a millisecond of work.
constexpr int64_t kTokensPerStep = 4096;

template <typename T>
Buffer copied(const std::vector<T>& values) {
  Buffer buffer(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(buffer.data(), values.data(), values.size() * sizeof(T));
  return buffer;
}

}  // namespace

Encoder::Encoder(Source source, TokenSteps steps, IdRule rule, Encoding encoding)
    : source_(std::move(source)),
      elements_(source_),
      tokenizer_(std::move(steps)),
      rule_(std::move(rule)),
      encoding_(std::move(encoding)) {}

bool Encoder::step() {
  int64_t done = 0;
  while (next_ < source_.rows && done < kTokensPerStep) {
    row(next_++);
    done += int64_t(tokens_.size()) + 1;
  }
  return next_ < source_.rows;
}

void Encoder::row(int64_t row) {
  const StringsView strings = elements_.row(row);
  tokens_.clear();
  tokenizer_.row(strings, 0, strings.count, tokens_);
  const bool vectors = encoding_.form == Encoding::Form::multiHot || encoding_.form == Encoding::Form::count;
  float* vector = nullptr;
  if (vectors) {
    vectors_.resize(vectors_.size() + size_t(encoding_.size));
    vector = vectors_.data() + vectors_.size() - size_t(encoding_.size);
  }
  const size_t limit = encoding_.form == Encoding::Form::padded && encoding_.size >= 0 && rule_.buckets > 0
                           ? std::min(tokens_.size(), size_t(encoding_.size))
                           : tokens_.size();
  for (size_t i = 0; i < limit; ++i) {
    const int32_t id = rule_.idOf(tokens_[i]);
    if (id == -1) fail("INPUT", "\"", tokens_[i], "\" is not in the vocabulary, and there is no index for what is not");
    if (vectors)
      tally(vector, id);
    else
      ids_.push_back(id);
  }
  if (vector && !encoding_.weights.empty())
    for (int64_t k = 0; k < encoding_.size; ++k) vector[k] *= encoding_.weights[size_t(k)];
  ends_.push_back(int64_t(ids_.size()));
}

void Encoder::tally(float* vector, int32_t id) const {
  if (id < 0 || id >= encoding_.size) return;  // a masked token counts nowhere
  vector[id] = encoding_.form == Encoding::Form::multiHot ? 1.0f : vector[id] + 1.0f;
}

Encoder::Output Encoder::take() {
  switch (encoding_.form) {
    case Encoding::Form::ids:
      return {copied(ids_), true, int64_t(ids_.size()), 1};
    case Encoding::Form::padded: {
      int64_t width = encoding_.size, begin = 0;
      if (width < 0) {
        width = 0;
        for (const int64_t end : ends_) width = std::max(width, end - std::exchange(begin, end));
      }
      std::vector<int32_t> padded(size_t(width * source_.rows));
      begin = 0;
      for (size_t row = 0; row < ends_.size(); ++row) {
        const int64_t size = std::min(width, ends_[row] - begin);
        std::copy_n(ids_.begin() + begin, size, padded.begin() + int64_t(row) * width);
        begin = ends_[row];
      }
      return {copied(padded), true, int64_t(padded.size()), width};
    }
    case Encoding::Form::oneHot: {
      vectors_.assign(ids_.size() * size_t(encoding_.size), 0.0f);
      for (size_t i = 0; i < ids_.size(); ++i) tally(vectors_.data() + i * size_t(encoding_.size), ids_[i]);
      [[fallthrough]];
    }
    case Encoding::Form::multiHot:
    case Encoding::Form::count:
      break;
  }
  return {copied(vectors_), false, int64_t(vectors_.size()), encoding_.size};
}

}  // namespace chainrule::text
