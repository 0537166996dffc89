import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { binary, cast, float, floatUnary, type Operand, tensor, unary, unify } from './operands.js';

/** Elementwise arithmetic with broadcasting; operands meet in their wider dtype (https://keras.io/api/ops/numpy/). */
export const add = (a: Operand, b: Operand): Tensor => binary('add', a, b);
export const subtract = (a: Operand, b: Operand): Tensor => binary('sub', a, b);
export const multiply = (a: Operand, b: Operand): Tensor => binary('mul', a, b);
/** True division: integers become floats. */
export const divide = (a: Operand, b: Operand): Tensor => binary('div', a, b, 'float32');
export const power = (a: Operand, b: Operand): Tensor => binary('pow', a, b);
/** The quotient rounded down. */
export const floorDivide = (a: Operand, b: Operand): Tensor => binary('floorDivide', a, b);
export const mod = (a: Operand, b: Operand): Tensor => binary('mod', a, b);
export const maximum = (a: Operand, b: Operand): Tensor => binary('maximum', a, b);
export const minimum = (a: Operand, b: Operand): Tensor => binary('minimum', a, b);

export const negative = (x: Operand): Tensor => unary('neg', x);
export const abs = (x: Operand): Tensor => unary('abs', x);
export const sign = (x: Operand): Tensor => unary('sign', x);
export const square = (x: Operand): Tensor => unary('square', x);
export const sqrt = (x: Operand): Tensor => floatUnary('sqrt', x);
export const rsqrt = (x: Operand): Tensor => floatUnary('rsqrt', x);
export const reciprocal = (x: Operand): Tensor => floatUnary('reciprocal', x);
export const exp = (x: Operand): Tensor => floatUnary('exp', x);
export const expm1 = (x: Operand): Tensor => floatUnary('expm1', x);
export const log = (x: Operand): Tensor => floatUnary('log', x);
export const log1p = (x: Operand): Tensor => floatUnary('log1p', x);
export const sin = (x: Operand): Tensor => floatUnary('sin', x);
export const cos = (x: Operand): Tensor => floatUnary('cos', x);
export const tan = (x: Operand): Tensor => floatUnary('tan', x);
export const arctan = (x: Operand): Tensor => floatUnary('atan', x);
export const tanh = (x: Operand): Tensor => floatUnary('tanh', x);
export const erf = (x: Operand): Tensor => floatUnary('erf', x);
export const floor = (x: Operand): Tensor => floatUnary('floor', x);
export const ceil = (x: Operand): Tensor => floatUnary('ceil', x);
/** To the nearest integer, halves to the even one. */
export const round = (x: Operand): Tensor => floatUnary('round', x);
export const trunc = (x: Operand): Tensor => floatUnary('trunc', x);

export const equal = (a: Operand, b: Operand): Tensor => binary('equal', a, b);
export const notEqual = (a: Operand, b: Operand): Tensor => binary('notEqual', a, b);
export const less = (a: Operand, b: Operand): Tensor => binary('less', a, b);
export const lessEqual = (a: Operand, b: Operand): Tensor => binary('lessEqual', a, b);
export const greater = (a: Operand, b: Operand): Tensor => binary('greater', a, b);
export const greaterEqual = (a: Operand, b: Operand): Tensor => binary('greaterEqual', a, b);

const truth = (x: Operand): Tensor => cast(x, 'bool');
export const logicalAnd = (a: Operand, b: Operand): Tensor => emit('logicalAnd', [truth(a), truth(b)]);
export const logicalOr = (a: Operand, b: Operand): Tensor => emit('logicalOr', [truth(a), truth(b)]);
export const logicalXor = (a: Operand, b: Operand): Tensor => emit('logicalXor', [truth(a), truth(b)]);
export const logicalNot = (x: Operand): Tensor => emit('logicalNot', [truth(x)]);
export const isfinite = (x: Operand): Tensor => emit('isFinite', [float(x)]);
export const isnan = (x: Operand): Tensor => emit('isNan', [float(x)]);
export const isinf = (x: Operand): Tensor => logicalNot(logicalOr(isfinite(x), isnan(x)));

/** `a` where the condition holds, `b` elsewhere; all three broadcast. */
export function where(condition: Operand, a: Operand, b: Operand): Tensor {
  return emit('select', [truth(condition), ...unify(a, b)]);
}

/** Limits values to [low, high]. */
export function clip(x: Operand, low: Operand, high: Operand): Tensor {
  return minimum(maximum(x, low), high);
}

/** NaN becomes `nan`, infinities become the largest finite numbers or the given ones. */
export function nanToNum(
  x: Operand,
  { nan = 0, posinf = 3.4028235e38, neginf = -3.4028235e38 }: { nan?: number; posinf?: number; neginf?: number } = {},
): Tensor {
  const value = float(x);
  return clip(where(isnan(value), nan, value), neginf, posinf);
}

/** The product of sums over `-1` and `-2`: batched where ranks are higher, as numpy's matmul. */
export function matmul(
  a: Operand,
  b: Operand,
  { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
): Tensor {
  const [left, right] = unify(a, b);
  const both = [tensor(left), tensor(right)] as const;
  if (both[0].rank >= 2 && both[1].rank >= 2) return emit('matmul', both, { transposeA, transposeB });
  return vectorMatmul(both[0], both[1]);
}

/** numpy's rule for vectors: a row before, a column after, and the extra axis goes again. */
function vectorMatmul(a: Tensor, b: Tensor): Tensor {
  const left = a.rank === 1 ? emit('reshape', [a], { shape: [1, ...a.dims], infer: -1 }) : a;
  const right = b.rank === 1 ? emit('reshape', [b], { shape: [...b.dims, 1], infer: -1 }) : b;
  const product = emit('matmul', [left, right], { transposeA: false, transposeB: false });
  const shape = [...product.dims];
  if (b.rank === 1) shape.pop();
  if (a.rank === 1) shape.splice(b.rank === 1 ? -1 : -2, 1);
  return emit('reshape', [product], { shape, infer: -1 });
}

export { cast };
