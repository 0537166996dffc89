#pragma once

#include <memory>

#include "base/buffer.h"
#include "text/source.h"
#include "text/tokens.h"
#include "text/vocabulary.h"

namespace chainrule::text {

// What becomes of the ids of a row's tokens.
struct Encoding {
  enum class Form { ids, padded, multiHot, count, oneHot };
  Form form = Form::ids;
  int64_t size = -1;           // padded: ids per row, -1 the longest row; vectors: their length
  std::vector<float> weights;  // one per vector element, empty for none
};

// Texts to numbers, some rows at a time, so that others on the same thread get their turn.
class Encoder {
 public:
  Encoder(Source source, TokenSteps steps, IdRule rule, Encoding encoding);
  bool step();  // true while there is more to do
  // Afterwards: int32 for ids and padded, float32 for vectors. `size` numbers, `width` to a row (a token for oneHot).
  struct Output {
    Buffer data;
    bool integers = false;
    int64_t count = 0;
    int64_t width = 0;
  };
  Output take();

 private:
  void row(int64_t row);
  void tally(float* vector, int32_t id) const;

  Source source_;
  Elements elements_;
  Tokenizer tokenizer_;
  IdRule rule_;
  Encoding encoding_;
  int64_t next_ = 0;
  std::vector<std::string_view> tokens_;
  std::vector<int32_t> ids_;
  std::vector<int64_t> ends_;
  std::vector<float> vectors_;
};

}  // namespace chainrule::text
