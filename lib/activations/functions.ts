import type { Tensor } from '../graph/tensor.js';
import {
  abs,
  add,
  clip,
  divide,
  equal,
  exp,
  expm1,
  greater,
  less,
  lessEqual,
  logicalAnd,
  logicalOr,
  maximum,
  minimum,
  multiply,
  negative,
  sign,
  sqrt,
  square,
  subtract,
  tanh,
  where,
} from '../ops/math.js';
import { logSoftmax, relu as plainRelu, sigmoid, softmax, softplus } from '../ops/nn.js';
import { cast, floatUnary, type Operand, oneAxis, tensor } from '../ops/operands.js';
import { sum } from '../ops/reduce.js';
import { expandDims, iota, split } from '../ops/shape.js';

// Formulas: keras/src/activations/activations.py. All are compositions; the engine fuses them.

export { exp as exponential, logSoftmax, sigmoid, softmax, softplus, tanh };

export const linear = (x: Tensor): Tensor => x;

/** max(x, 0), with a slope below `threshold` and a cap where asked for. */
export function relu(
  x: Operand,
  {
    negativeSlope = 0,
    maxValue,
    threshold: limit = 0,
  }: { negativeSlope?: number; maxValue?: number; threshold?: number } = {},
): Tensor {
  if (negativeSlope === 0 && maxValue === undefined && limit === 0) return plainRelu(x);
  let value = limit === 0 ? plainRelu(x) : multiply(x, cast(greater(x, limit), 'float32'));
  // Without a threshold nothing is below zero any more.
  if (maxValue !== undefined) value = limit === 0 ? minimum(value, maxValue) : clip(value, 0, maxValue);
  return negativeSlope === 0 ? value : subtract(value, multiply(plainRelu(subtract(limit, x)), negativeSlope));
}

export const leakyRelu = (x: Operand, { negativeSlope = 0.2 }: { negativeSlope?: number } = {}): Tensor =>
  where(greater(x, 0), x, multiply(x, negativeSlope));
export const relu6 = (x: Operand): Tensor => clip(x, 0, 6);
export const elu = (x: Operand, { alpha = 1 }: { alpha?: number } = {}): Tensor =>
  where(greater(x, 0), x, multiply(expm1(minimum(x, 0)), alpha));
export const selu = (x: Operand): Tensor => multiply(elu(x, { alpha: 1.6732632423543772 }), 1.0507009873554805);
export const celu = (x: Operand, { alpha = 1 }: { alpha?: number } = {}): Tensor =>
  add(maximum(x, 0), multiply(expm1(divide(minimum(x, 0), alpha)), alpha));

/** x·Φ(x); `approximate` uses tanh instead of erf. */
export function gelu(x: Operand, { approximate = false }: { approximate?: boolean } = {}): Tensor {
  if (!approximate) return floatUnary('gelu', x);
  const half = multiply(x, 0.5);
  const cubic = multiply(multiply(square(x), x), 0.044715);
  return multiply(half, add(tanh(multiply(add(x, cubic), Math.sqrt(2 / Math.PI))), 1));
}

// A product with sigmoid must not pass the logits on: it is no probability.
export const silu = (x: Operand): Tensor => multiply(x, sigmoid(x));
export const mish = (x: Operand): Tensor => multiply(x, tanh(softplus(x)));
export const softsign = (x: Operand): Tensor => divide(x, add(abs(x), 1));
export const logSigmoid = (x: Operand): Tensor => negative(softplus(negative(x)));
export const hardSigmoid = (x: Operand): Tensor => clip(add(divide(x, 6), 0.5), 0, 1);
export const hardSilu = (x: Operand): Tensor => multiply(x, hardSigmoid(x));
export const hardTanh = (x: Operand): Tensor => clip(x, -1, 1);
export const tanhShrink = (x: Operand): Tensor => subtract(x, tanh(x));
export const hardShrink = (x: Operand, { threshold: limit = 0.5 }: { threshold?: number } = {}): Tensor =>
  where(greater(abs(x), limit), x, 0);
export const softShrink = (x: Operand, { threshold: limit = 0.5 }: { threshold?: number } = {}): Tensor =>
  multiply(sign(x), maximum(subtract(abs(x), limit), 0));
export const threshold = (
  x: Operand,
  { threshold: limit, defaultValue }: { threshold: number; defaultValue: number },
): Tensor => where(greater(x, limit), x, defaultValue);
export const squareplus = (x: Operand, { b = 4 }: { b?: number } = {}): Tensor =>
  divide(add(x, sqrt(add(square(x), b))), 2);
export const sparsePlus = (x: Operand): Tensor =>
  where(lessEqual(x, -1), 0, where(less(x, 1), divide(square(add(x, 1)), 4), x));
export const sparseSigmoid = (x: Operand): Tensor => clip(multiply(add(x, 1), 0.5), 0, 1);

/** The first half of an axis, gated by the sigmoid of the second. */
export function glu(x: Operand, { axis = -1 }: { axis?: number } = {}): Tensor {
  const [value, gate] = split(x, 2, axis);
  return multiply(value!, sigmoid(gate!));
}

/**
 * Keras's sparsemax, number for number: its threshold adds the running sums of the whole support, where Martins and
 * Astudillo take the last one, so rows need not sum to 1. Every pair is compared instead of sorting.
 */
export function sparsemax(x: Operand, { axis = -1 }: { axis?: number } = {}): Tensor {
  const value = tensor(x);
  const at = oneAxis('sparsemax', value, axis);
  const n = value.dims[at]!;
  const [own, others] = [expandDims(value, at + 1), expandDims(value, at)];
  const pair = [n, n, ...Array<number>(value.rank - 1 - at).fill(1)];
  const notLater = lessEqual(iota(pair, 1), iota(pair, 0));
  const before = cast(logicalOr(greater(others, own), logicalAnd(equal(others, own), notLater)), 'float32');
  const rank = sum(before, { axis: at + 1 });
  const running = sum(multiply(before, others), { axis: at + 1 });
  const support = cast(greater(value, divide(subtract(running, 1), rank)), 'float32');
  const total = sum(multiply(support, running), { axis: at, keepdims: true });
  const tau = divide(subtract(total, 1), sum(support, { axis: at, keepdims: true }));
  return maximum(subtract(value, tau), 0);
}
