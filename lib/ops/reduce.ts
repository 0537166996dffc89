import { checkOptions } from '../errors.js';
import { emit } from '../graph/emit.js';
import { stopGradient } from '../graph/grad.js';
import type { Tensor } from '../graph/tensor.js';
import {
  add,
  divide,
  equal,
  exp,
  isfinite,
  log,
  maximum,
  minimum,
  multiply,
  power,
  sqrt,
  square,
  subtract,
  where,
} from './math.js';
import { type Axis, axes, cast, float, type Operand, oneAxis, tensor } from './operands.js';
import { reshape } from './shape.js';

export interface ReduceOptions {
  /** The axis or axes to reduce over; all when absent. */
  axis?: Axis;
  /** Keep reduced axes with size 1. */
  keepdims?: boolean;
}

function reduce(op: string, x: Operand, options: ReduceOptions): Tensor {
  checkOptions(op.replace('reduce', '').toLowerCase(), options, ['axis', 'keepdims']);
  const { axis, keepdims = false } = options;
  const value = tensor(x);
  const over = axes(op, value, axis);
  return over.length === 0 ? value : emit(op, [value], { axes: over, keepDims: keepdims });
}

const numeric = (x: Operand): Tensor => {
  const value = tensor(x);
  return value.dtype === 'float32' ? value : cast(value, 'int32');
};

/** Sums; booleans count as 0 and 1. */
export const sum = (x: Operand, options: ReduceOptions = {}): Tensor => reduce('reduceSum', numeric(x), options);
/** Means, in float32. */
export const mean = (x: Operand, options: ReduceOptions = {}): Tensor => reduce('reduceMean', float(x), options);

/** `initial` is a further number that each result is compared with. */
export interface ExtremeOptions extends ReduceOptions {
  initial?: number;
}

export function max(x: Operand, { initial, ...options }: ExtremeOptions = {}): Tensor {
  const result = reduce('reduceMax', x, options);
  return initial === undefined ? result : maximum(result, initial);
}

export function min(x: Operand, { initial, ...options }: ExtremeOptions = {}): Tensor {
  const result = reduce('reduceMin', x, options);
  return initial === undefined ? result : minimum(result, initial);
}

export const prod = (x: Operand, options: ReduceOptions = {}): Tensor => reduce('reduceProd', numeric(x), options);
export const any = (x: Operand, options: ReduceOptions = {}): Tensor => reduce('reduceAny', cast(x, 'bool'), options);
export const all = (x: Operand, options: ReduceOptions = {}): Tensor => reduce('reduceAll', cast(x, 'bool'), options);

/** The population variance (divided by the number of elements). */
export function variance(x: Operand, options: ReduceOptions = {}): Tensor {
  const value = float(x);
  return mean(square(subtract(value, mean(value, { axis: options.axis, keepdims: true }))), options);
}

export const std = (x: Operand, options: ReduceOptions = {}): Tensor => sqrt(variance(x, options));

/** Mean and population variance over the axes. */
export function moments(x: Operand, options: ReduceOptions = {}): { mean: Tensor; variance: Tensor } {
  return { mean: mean(x, options), variance: variance(x, options) };
}

/** log(sum(exp(x))), without overflow. */
export function logsumexp(x: Operand, { axis, keepdims = false }: ReduceOptions = {}): Tensor {
  const value = float(x);
  const peak = stopGradient(max(value, { axis, keepdims: true }));
  const shift = where(isfinite(peak), peak, 0);
  const total = add(log(sum(exp(subtract(value, shift)), { axis, keepdims: true })), shift);
  return keepdims ? total : reduce('reduceSum', total, { axis });
}

/** The index of the largest element along an axis (of the flat tensor when absent), the first of equals; int32. */
export const argmax = (x: Operand, options: { axis?: number; keepdims?: boolean } = {}): Tensor =>
  arg('argmax', x, options);
export const argmin = (x: Operand, options: { axis?: number; keepdims?: boolean } = {}): Tensor =>
  arg('argmin', x, options);

function arg(op: string, x: Operand, { axis, keepdims = false }: { axis?: number; keepdims?: boolean }): Tensor {
  const value = axis === undefined ? reshape(x, [-1]) : tensor(x);
  return emit(op, [value], { axis: oneAxis(op, value, axis ?? 0), keepDims: keepdims });
}

/** Running sums along an axis; `exclusive` leaves the element itself out, `reverse` starts at the end. */
export function cumsum(
  x: Operand,
  { axis = 0, exclusive = false, reverse = false }: { axis?: number; exclusive?: boolean; reverse?: boolean } = {},
): Tensor {
  const value = numeric(x);
  return emit('cumsum', [value], { axis: oneAxis('cumsum', value, axis), exclusive, reverse });
}

/** Running products along an axis; it has no gradient. */
export function cumprod(x: Operand, { axis = 0 }: { axis?: number } = {}): Tensor {
  const value = numeric(x);
  return emit('cumprod', [value], { axis: oneAxis('cumprod', value, axis), exclusive: false, reverse: false });
}

/** The mean weighted along an axis: Σ x·w / Σ w. */
export function average(
  x: Operand,
  { axis, weights, keepdims = false }: ReduceOptions & { weights?: Operand } = {},
): Tensor {
  if (weights === undefined) return mean(x, { axis, keepdims });
  const value = float(x);
  let share = float(weights);
  // A vector of weights stands along the one axis.
  if (share.rank === 1 && value.rank > 1 && typeof axis === 'number') {
    const along = oneAxis('average', value, axis);
    share = reshape(
      share,
      value.dims.map((_, i) => (i === along ? -1 : 1)),
    );
  }
  const all = multiply(share, like(value));
  return divide(sum(multiply(value, share), { axis, keepdims }), sum(all, { axis, keepdims }));
}

const like = (x: Tensor): Tensor => emit('broadcastTo', [cast(1, 'float32')], { shape: [...x.dims] });

export interface NormOptions extends ReduceOptions {
  /** The p of the p-norm of vectors (Infinity: the largest, 0: how many are not 0), or 'fro'. Default 2. */
  ord?: number | 'fro';
}

/** The L2 norm over the axes, or another norm of vectors. */
export function norm(x: Operand, { ord = 2, ...options }: NormOptions = {}): Tensor {
  const value = float(x);
  if (ord === 2 || ord === 'fro') return sqrt(sum(square(value), options));
  const size = emit('abs', [value]);
  if (ord === Number.POSITIVE_INFINITY) return max(size, options);
  if (ord === Number.NEGATIVE_INFINITY) return min(size, options);
  if (ord === 0) return sum(cast(cast(value, 'bool'), 'float32'), options);
  return ord === 1 ? sum(size, options) : power(sum(power(size, ord), options), 1 / ord);
}

/** Divides by the L2 norm along the axes, as Keras's unit normalisation: rsqrt(max(Σx², ε²)). */
export function normalize(x: Operand, { axis = -1, epsilon = 1e-12 }: { axis?: Axis; epsilon?: number } = {}): Tensor {
  const value = float(x);
  const total = sum(square(value), { axis, keepdims: true });
  const floor = emit('maximum', [total, epsilon ** 2]);
  return multiply(value, emit('rsqrt', [floor]));
}

/** Whether the true class is among the k largest scores of its row; equal scores count in its favour. */
export function inTopK(targets: Operand, predictions: Operand, k: number): Tensor {
  const scores = float(predictions);
  const classes = scores.dims.at(-1)!;
  const hit = emit('oneHot', [cast(targets, 'int32')], { depth: classes });
  const own = sum(multiply(hit, scores), { axis: -1, keepdims: true });
  const ahead = sum(emit('less', [own, scores]), { axis: -1 });
  return emit('logicalAnd', [
    emit('less', [ahead, cast(k, 'int32')]),
    isfinite(reshape(own, own.dims.slice(0, -1).map(decode))),
  ]);
}

const decode = (dim: number): number | null => (dim < 0 ? null : dim);

/** Means weighted along the axes, 0 where the weights sum to 0. */
export function weightedMean(x: Operand, weights: Operand, options: ReduceOptions = {}): Tensor {
  const total = sum(weights, options);
  return where(equal(total, 0), 0, divide(sum(multiply(x, weights), options), total));
}
