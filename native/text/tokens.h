#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/strings.h"

namespace chainrule::text {

// From texts to tokens, as Keras's TextVectorization does it: standardise, split, join n-grams.
struct TokenSteps {
  enum class Split { none, whitespace, characters };
  bool lower = false;             // ASCII letters only, as tf.strings.lower does without an encoding
  bool stripPunctuation = false;  // the ASCII punctuation of Keras's regular expression
  Split split = Split::none;
  std::vector<int> ngrams;  // widths in the order of the result; none: the tokens themselves
};

class Tokenizer {
 public:
  explicit Tokenizer(TokenSteps steps) : steps_(std::move(steps)) {}

  // Appends the tokens of strings [begin, end), which make up one row. They are valid until the next row.
  void row(const StringsView& strings, int64_t begin, int64_t end, std::vector<std::string_view>& tokens);

  // One text without split and n-grams, appended to `out`.
  void standardize(std::string_view text, std::string& out) const;

 private:
  void split(std::string_view text);
  void joinNgrams(std::vector<std::string_view>& tokens);

  TokenSteps steps_;
  std::string clean_, joined_;
  std::vector<std::string_view> words_;
};

}  // namespace chainrule::text
