import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { add, multiply, rsqrt, square, subtract } from './math.js';
import { type Axis, axes, float, type Operand, oneAxis, tensor } from './operands.js';
import { mean, variance } from './reduce.js';
import { reshapeDims, transpose } from './shape.js';

interface Over {
  /** Default -1. */
  axis?: Axis;
  /** Default 1e-7. */
  epsilon?: number;
}

/** A weight with one entry per element of the axes, as it meets x; one of x's rank stays. */
function along(x: Tensor, over: readonly number[], weight: Operand): Tensor {
  const value = tensor(weight);
  if (value.rank === x.rank || (over.length === 1 && over[0] === x.rank - 1)) return value;
  return reshapeDims(
    value,
    x.dims.map((dim, i) => (over.includes(i) ? dim : 1)),
  );
}

/** Rows to mean 0 (if centred) and mean square 1 over the axes. The op takes them at the end, and not the batch. */
function standardized(x: Tensor, over: readonly number[], epsilon: number, centred: boolean): Tensor {
  if (over.some((axis) => x.dims[axis]! < 0)) {
    const shifted = centred ? subtract(x, mean(x, { axis: over, keepdims: true })) : x;
    return multiply(shifted, rsqrt(add(mean(square(shifted), { axis: over, keepdims: true }), epsilon)));
  }
  const rows = (value: Tensor): Tensor =>
    emit('standardize', [value], { axes: over.length, epsilon, centred: Number(centred) });
  const order = [...x.dims.map((_, i) => i).filter((i) => !over.includes(i)), ...over];
  if (order.every((axis, i) => axis === i)) return rows(x);
  const back = order.map((_, i) => order.indexOf(i));
  return transpose(rows(transpose(x, order)), back);
}

/** (x − mean) / √(variance + ε) · gamma + beta, moments over the axes of each row (https://arxiv.org/abs/1607.06450). */
export function layerNormalization(
  x: Operand,
  {
    gamma,
    beta,
    axis = -1,
    epsilon = 1e-7,
    rmsScaling = false,
  }: Over & { gamma?: Operand; beta?: Operand; rmsScaling?: boolean } = {},
): Tensor {
  const value = float(x);
  const over = axes('layerNormalization', value, axis);
  let result = rmsScaling
    ? multiply(value, rsqrt(add(variance(value, { axis: over, keepdims: true }), epsilon)))
    : standardized(value, over, epsilon, true);
  if (gamma !== undefined) result = multiply(result, along(value, over, gamma));
  return beta === undefined ? result : add(result, along(value, over, beta));
}

/** x / √(mean(x²) + ε) · scale over the axes of each row (https://arxiv.org/abs/1910.07467). */
export function rmsNormalization(
  x: Operand,
  { scale, axis = -1, epsilon = 1e-7 }: Over & { scale?: Operand } = {},
): Tensor {
  const value = float(x);
  const over = axes('rmsNormalization', value, axis);
  const result = standardized(value, over, epsilon, false);
  return scale === undefined ? result : multiply(result, along(value, over, scale));
}

/** (x − mean) / √(variance + ε) · scale + offset with given moments of one axis. */
export function batchNormalization(
  x: Operand,
  meanOf: Operand,
  varianceOf: Operand,
  axis = -1,
  { offset, scale, epsilon = 1e-3 }: { offset?: Operand; scale?: Operand; epsilon?: number } = {},
): Tensor {
  const value = float(x);
  const over = [oneAxis('batchNormalization', value, axis)];
  const wide = (weight: Operand): Tensor => along(value, over, weight);
  let factor = rsqrt(add(wide(varianceOf), epsilon));
  if (scale !== undefined) factor = multiply(factor, wide(scale));
  const result = multiply(subtract(value, wide(meanOf)), factor);
  return offset === undefined ? result : add(result, wide(offset));
}
