#include "text/tokens.h"

#include <algorithm>
#include <array>

namespace chainrule::text {
namespace {

constexpr bool isSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Everything printable in ASCII that is neither letter, digit nor space.
constexpr bool isPunctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// Bytes of the UTF-8 character that begins here; strings that come from JavaScript are well-formed.
size_t characterSize(char first) {
  const auto byte = uint8_t(first);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

void Tokenizer::standardize(std::string_view text, std::string& out) const {
  for (const char c : text) {
    if (steps_.stripPunctuation && isPunctuation(c)) continue;
    out += steps_.lower && c >= 'A' && c <= 'Z' ? char(c + ('a' - 'A')) : c;
  }
}

void Tokenizer::row(const StringsView& strings, int64_t begin, int64_t end, std::vector<std::string_view>& tokens) {
  clean_.clear();
  words_.clear();
  // Room for the whole row at once: the words are views into it.
  clean_.reserve(size_t(strings.offsets[end] - strings.offsets[begin]));
  for (int64_t i = begin; i < end; ++i) {
    const size_t start = clean_.size();
    standardize(strings.at(i), clean_);
    split(std::string_view(clean_).substr(start));
  }
  if (steps_.ngrams.empty())
    tokens.insert(tokens.end(), words_.begin(), words_.end());
  else
    joinNgrams(tokens);
}

void Tokenizer::split(std::string_view text) {
  if (steps_.split == TokenSteps::Split::none) {
    words_.push_back(text);
    return;
  }
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    if (steps_.split == TokenSteps::Split::characters) {
      end = std::min(text.size(), at + characterSize(text[at]));
    } else {
      while (at < text.size() && isSpace(text[at])) ++at;
      for (end = at; end < text.size() && !isSpace(text[end]);) ++end;
    }
    if (end > at) words_.push_back(text.substr(at, end - at));
    at = end;
  }
}

void Tokenizer::joinNgrams(std::vector<std::string_view>& tokens) {
  joined_.clear();
  std::vector<size_t> ends;
  for (const int width : steps_.ngrams) {
    for (size_t first = 0; first + size_t(width) <= words_.size(); ++first) {
      for (int k = 0; k < width; ++k) {
        if (k > 0) joined_ += ' ';
        joined_ += words_[first + size_t(k)];
      }
      ends.push_back(joined_.size());
    }
  }
  size_t begin = 0;
  for (const size_t end : ends) {
    tokens.push_back(std::string_view(joined_).substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace chainrule::text
