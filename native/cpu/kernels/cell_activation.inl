// Activations of recurrent cells and their derivatives (base/cell.h).

CHAINRULE_INLINE Float activate(CellActivation activation, Float x) {
  switch (activation) {
    case CellActivation::linear:
      return x;
    case CellActivation::relu:
      return relu(x);
    case CellActivation::tanh:
      return tanh(x);
    case CellActivation::sigmoid:
      return sigmoid(x);
    case CellActivation::hardSigmoid:
      return minimum(maximum(x / Float(6.0f) + Float(0.5f), Float(0.0f)), Float(1.0f));
    case CellActivation::softsign:
      return x / (abs(x) + Float(1.0f));
  }
  return x;
}

// The derivative, from the activation's value.
CHAINRULE_INLINE Float slope(CellActivation activation, Float y) {
  const Float zero(0.0f), one(1.0f);
  switch (activation) {
    case CellActivation::linear:
      return one;
    case CellActivation::relu:
      return select(y > zero, one, zero);
    case CellActivation::tanh:
      return one - y * y;
    case CellActivation::sigmoid:
      return y * (one - y);
    case CellActivation::hardSigmoid:
      return select((y > zero) & (y < one), Float(1.0f / 6.0f), zero);
    case CellActivation::softsign: {
      const Float rest = one - abs(y);
      return rest * rest;
    }
  }
  return one;
}
