#pragma once

#include <cstdint>

namespace chainrule {

// The cells of recurrent layers. Gates in Keras's order: lstm i f c o, gru z r h.
enum class Cell : uint8_t { simple, lstm, gru, gruResetBefore };
enum class CellActivation : uint8_t { linear, relu, tanh, sigmoid, hardSigmoid, softsign };

constexpr int64_t gateCount(Cell cell) { return cell == Cell::simple ? 1 : cell == Cell::lstm ? 4 : 3; }

}  // namespace chainrule
