import type { Tensor } from '../graph/tensor.js';
import { cast, type Operand, tensor } from '../ops/operands.js';
import { expandDims, reshapeDims, squeeze } from '../ops/shape.js';

/** keras.config.epsilon(). */
export const epsilon = 1e-7;

/** Keras's rule for targets and predictions whose ranks differ by an axis of size 1: (N,) meets (N, 1) without making (N, N). */
export function sameRank(a: Tensor, b: Tensor): [Tensor, Tensor] {
  if (a.rank === b.rank + 1 && a.dims.at(-1) === 1) return b.rank === 1 ? [a, expandDims(b, -1)] : [squeeze(a, -1), b];
  if (b.rank === a.rank + 1 && b.dims.at(-1) === 1) return a.rank === 1 ? [expandDims(a, -1), b] : [a, squeeze(b, -1)];
  return [a, b];
}

/** Targets in the predictions' dtype, ranks aligned. */
export function aligned(yTrue: Operand, yPred: Operand): [Tensor, Tensor] {
  const pred = floatKeepingLogits(yPred);
  return sameRank(cast(yTrue, 'float32'), pred);
}

export function floatKeepingLogits(yPred: Operand): Tensor {
  const pred = tensor(yPred);
  return pred.dtype === 'float32' ? pred : cast(pred, 'float32');
}

/** Weights [N] for values [N, T]: axes of size 1 are added behind, and one that is too much is dropped. */
export function alignWeights(weights: Tensor, values: Tensor): Tensor {
  const narrow = weights.rank === values.rank + 1 && weights.dims.at(-1) === 1;
  const [, same] = narrow ? [values, squeeze(weights, -1)] : sameRank(values, weights);
  if (same.rank >= values.rank) return same;
  return reshapeDims(same, [...same.dims, ...Array<number>(values.rank - same.rank).fill(1)]);
}
