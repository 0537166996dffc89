import type { Tensor } from '../graph/tensor.js';
import { add, clip, divide, log, multiply, negative, subtract } from './math.js';
import { binaryCrossentropyFromLogits, logSoftmax } from './nn.js';
import { cast, float, type Operand } from './operands.js';
import { sum } from './reduce.js';
import { oneHot, squeeze } from './shape.js';

// Cross-entropies without any mean (https://keras.io/api/ops/nn/). Keras keeps probabilities 1e-7 away from 0 and 1.
const epsilon = 1e-7;

interface From {
  /** The outputs are logits, not probabilities. Default false. */
  fromLogits?: boolean;
  /** The axis of the classes. Default -1. */
  axis?: number;
}

/** −(y log p + (1 − y) log(1 − p)), elementwise. */
export function binaryCrossentropy(target: Operand, output: Operand, { fromLogits = false }: From = {}): Tensor {
  if (fromLogits) return binaryCrossentropyFromLogits(target, output);
  const p = clip(float(output), epsilon, 1 - epsilon);
  const yes = multiply(target, log(p));
  return negative(add(yes, multiply(subtract(1, target), log(subtract(1, p)))));
}

/** The logarithms of class probabilities: of logits, or of numbers that are divided by their sum first. */
function logProbabilities(output: Operand, { fromLogits = false, axis = -1 }: From): Tensor {
  if (fromLogits) return logSoftmax(output, axis);
  const p = float(output);
  return log(clip(divide(p, sum(p, { axis, keepdims: true })), epsilon, 1 - epsilon));
}

/** −Σ y log p over the classes. */
export function categoricalCrossentropy(target: Operand, output: Operand, from: From = {}): Tensor {
  return negative(sum(multiply(target, logProbabilities(output, from)), { axis: from.axis ?? -1 }));
}

/** −log p of the true class, given as a number; the classes are the last axis. */
export function sparseCategoricalCrossentropy(
  target: Operand,
  output: Operand,
  { fromLogits = false }: { fromLogits?: boolean } = {},
): Tensor {
  const logs = logProbabilities(output, { fromLogits });
  const ids = cast(target, 'int32');
  const classes = ids.rank === logs.rank && ids.dims.at(-1) === 1 ? squeeze(ids, -1) : ids;
  return negative(sum(multiply(oneHot(classes, logs.dims.at(-1)!), logs), { axis: -1 }));
}
