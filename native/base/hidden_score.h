#pragma once

namespace chainrule {

// The score of a key that a mask hides, as Keras's TensorFlow has it: finite, so that a query without any key gets
// equal shares instead of NaN.
constexpr float kHiddenScore = float(3.38953e38 * -0.7);

// A query that sees no key: its largest score is a hidden one. It looks at all keys alike, also those that blocks skip.
constexpr bool isBlind(float peak) { return peak <= kHiddenScore / 2; }

}  // namespace chainrule
