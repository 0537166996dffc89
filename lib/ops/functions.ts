import type { Tensor } from '../graph/tensor.js';
import {
  abs,
  add,
  arctan,
  divide,
  equal,
  exp,
  expm1,
  greater,
  isfinite,
  less,
  lessEqual,
  log,
  log1p,
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
  where,
} from './math.js';
import { float, type Operand } from './operands.js';

// Elementwise functions made of the primitives, in forms that keep their digits near zero and for large arguments.

/** a / b, and 0 where b is 0 (keras.ops.divide_no_nan). */
export function divideNoNan(a: Operand, b: Operand): Tensor {
  const none = equal(b, 0);
  return where(none, 0, divide(a, where(none, 1, b)));
}

export const log2 = (x: Operand): Tensor => multiply(log(x), Math.LOG2E);
export const log10 = (x: Operand): Tensor => multiply(log(x), Math.LOG10E);

export function sinh(x: Operand): Tensor {
  const grown = expm1(abs(x));
  return multiply(multiply(sign(float(x)), add(grown, divide(grown, add(grown, 1)))), 0.5);
}

export function cosh(x: Operand): Tensor {
  const size = abs(float(x));
  return multiply(add(exp(size), exp(negative(size))), 0.5);
}

export const arcsin = (x: Operand): Tensor => {
  const value = float(x);
  return multiply(arctan(divide(value, add(sqrt(multiply(subtract(1, value), add(value, 1))), 1))), 2);
};

export const arccos = (x: Operand): Tensor => {
  const value = float(x);
  return multiply(arctan(sqrt(divide(subtract(1, value), add(value, 1)))), 2);
};

/** log(x + √(x² + 1)). */
export function arcsinh(x: Operand): Tensor {
  const value = float(x);
  const size = abs(value);
  const root = sqrt(add(square(size), 1));
  return multiply(sign(value), log1p(add(size, divide(square(size), add(root, 1)))));
}

export function arccosh(x: Operand): Tensor {
  const above = subtract(float(x), 1);
  return log1p(add(above, sqrt(multiply(above, add(above, 2)))));
}

export function arctanh(x: Operand): Tensor {
  const value = float(x);
  return multiply(subtract(log1p(value), log1p(negative(value))), 0.5);
}

/** The angle of (x, y) from the positive x axis, −π … π. */
export function arctan2(y: Operand, x: Operand): Tensor {
  const [up, right] = [float(y), float(x)];
  const [tall, wide] = [abs(up), abs(right)];
  const steep = greater(tall, wide);
  // The smaller over the larger; 0 / 0 counts as 0.
  const longer = maximum(tall, wide);
  const ratio = divide(minimum(tall, wide), where(equal(longer, 0), 1, longer));
  const first = arctan(ratio);
  const quarter = where(steep, subtract(Math.PI / 2, first), first);
  const half = where(less(right, 0), subtract(Math.PI, quarter), quarter);
  return where(less(up, 0), negative(half), half);
}

/** √(a² + b²), without overflow. */
export function hypot(a: Operand, b: Operand): Tensor {
  const [first, second] = [abs(float(a)), abs(float(b))];
  const [large, small] = [maximum(first, second), minimum(first, second)];
  const ratio = divide(small, where(equal(large, 0), 1, large));
  return multiply(large, sqrt(add(square(ratio), 1)));
}

/** log(exp(a) + exp(b)), without overflow. */
export function logaddexp(a: Operand, b: Operand): Tensor {
  const difference = negative(abs(subtract(float(a), float(b))));
  return add(maximum(float(a), float(b)), log1p(exp(difference)));
}

/** |a − b| <= atol + rtol · |b|; equal infinities are close, NaN is close to nothing unless `equalNan`. */
export function isclose(
  a: Operand,
  b: Operand,
  { rtol = 1e-5, atol = 1e-8, equalNan = false }: { rtol?: number; atol?: number; equalNan?: boolean } = {},
): Tensor {
  const [left, right] = [float(a), float(b)];
  const near = lessEqual(abs(subtract(left, right)), add(multiply(abs(right), rtol), atol));
  const close = logicalOr(equal(left, right), logicalAnd(near, isfinite(right)));
  if (!equalNan) return close;
  const both = logicalAnd(equal(equal(left, left), false), equal(equal(right, right), false));
  return logicalOr(close, both);
}
