import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { binaryCrossentropy as binaryFromProbabilities } from '../ops/crossentropy.js';
import { add, clip, divide, equal, log, multiply, negative, notEqual, power, subtract, where } from '../ops/math.js';
import { binaryCrossentropyFromLogits, logSoftmax, sigmoid, softmax } from '../ops/nn.js';
import { cast, type Operand, tensor } from '../ops/operands.js';
import { mean, sum } from '../ops/reduce.js';
import { oneHot, squeeze } from '../ops/shape.js';
import { aligned, epsilon, floatKeepingLogits } from './align.js';

// Formulas: keras/src/losses/losses.py; each function gives one value per sample.

export interface CrossentropyOptions {
  /** The predictions are logits, not probabilities (default false). */
  fromLogits?: boolean;
  /** Moves targets towards the uniform distribution by this part, 0 … 1. */
  labelSmoothing?: number;
  axis?: number;
}

/** The logits to use: given as such, or those behind a sigmoid or softmax output. */
function logitsOf(yPred: Tensor, fromLogits: boolean, kind: 'softmax' | 'sigmoid'): Tensor | undefined {
  const { logits } = yPred;
  if (logits?.of === kind && (kind === 'sigmoid' || logits.axis === yPred.rank - 1)) return logits.value;
  return fromLogits ? yPred : undefined;
}

/** −(y log p + (1 − y) log(1 − p)), the mean over the last axis. */
export function binaryCrossentropy(
  yTrue: Operand,
  yPred: Operand,
  { fromLogits = false, labelSmoothing = 0, axis = -1 }: CrossentropyOptions = {},
): Tensor {
  const raw = floatKeepingLogits(yPred);
  const logits = logitsOf(raw, fromLogits, 'sigmoid');
  const [plain, pred] = aligned(yTrue, logits ?? raw);
  if (plain.dims.join() !== pred.dims.join())
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `binaryCrossentropy: targets ${shapeText(plain.shape)} and predictions ${shapeText(pred.shape)} must have one shape. One-hot labels need as many outputs as classes; an output of one unit needs labels 0 and 1.`,
    );
  const target = labelSmoothing ? add(multiply(plain, 1 - labelSmoothing), 0.5 * labelSmoothing) : plain;
  return mean(logits ? binaryCrossentropyFromLogits(target, pred) : binaryFromProbabilities(target, pred), { axis });
}

/** −Σ y log p over the classes; probabilities are first divided by their sum. */
export function categoricalCrossentropy(
  yTrue: Operand,
  yPred: Operand,
  { fromLogits = false, labelSmoothing = 0, axis = -1 }: CrossentropyOptions = {},
): Tensor {
  const pred = floatKeepingLogits(yPred);
  const classes = pred.dims.at(axis)!;
  const plain = cast(yTrue, 'float32');
  if (plain.rank !== pred.rank || plain.dims.some((dim, i) => dim >= 0 && pred.dims[i]! >= 0 && dim !== pred.dims[i]))
    throw targetShape(
      'categoricalCrossentropy',
      plain,
      pred,
      `one-hot targets of ${classes} classes; for class numbers use sparseCategoricalCrossentropy`,
    );
  const target = labelSmoothing ? add(multiply(plain, 1 - labelSmoothing), labelSmoothing / classes) : plain;
  return negative(sum(multiply(target, logProbabilities(pred, fromLogits, axis)), { axis }));
}

/** −log p of the true class; targets are class numbers [N] or [N, 1]. `ignoreClass` contributes 0. */
export function sparseCategoricalCrossentropy(
  yTrue: Operand,
  yPred: Operand,
  { fromLogits = false, ignoreClass }: { fromLogits?: boolean; ignoreClass?: number; axis?: number } = {},
): Tensor {
  const pred = floatKeepingLogits(yPred);
  let classes = cast(yTrue, 'int32');
  if (classes.rank === pred.rank && classes.dims.at(-1) === 1) classes = squeeze(classes, -1);
  if (classes.rank !== pred.rank - 1)
    throw targetShape(
      'sparseCategoricalCrossentropy',
      tensor(yTrue),
      pred,
      'class numbers; for one-hot targets use categoricalCrossentropy',
    );
  const kept = ignoreClass === undefined ? undefined : notEqual(classes, ignoreClass);
  const safe = kept ? where(kept, classes, 0) : classes;
  const cost = negative(
    sum(multiply(oneHot(safe, pred.dims.at(-1)!), logProbabilities(pred, fromLogits, -1)), { axis: -1 }),
  );
  return kept ? where(kept, cost, 0) : cost;
}

function logProbabilities(pred: Tensor, fromLogits: boolean, axis: number): Tensor {
  const logits =
    axis === -1 || axis === pred.rank - 1 ? logitsOf(pred, fromLogits, 'softmax') : fromLogits ? pred : undefined;
  if (logits) return logSoftmax(logits, axis);
  return log(clip(divide(pred, sum(pred, { axis, keepdims: true })), epsilon, 1 - epsilon));
}

function targetShape(loss: string, target: Tensor, pred: Tensor, help: string): ChainruleError {
  const places = pred.rank > target.rank + 1 && pred.rank > 2;
  const fewer = places
    ? ' To give one prediction a row, flatten or pool before the last layer: layers.flatten(), layers.globalAveragePooling2d().'
    : '';
  return new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${loss}: targets ${shapeText(target.shape)} don't fit predictions ${shapeText(pred.shape)}: expected ${help}.${fewer}`,
  );
}

export interface FocalOptions extends CrossentropyOptions {
  alpha?: number;
  gamma?: number;
}

/** Binary cross-entropy with easy samples weighed down by (1 − p)^gamma. */
export function binaryFocalCrossentropy(
  yTrue: Operand,
  yPred: Operand,
  {
    applyClassBalancing = false,
    alpha = 0.25,
    gamma = 2,
    fromLogits = false,
    labelSmoothing = 0,
    axis = -1,
  }: FocalOptions & { applyClassBalancing?: boolean } = {},
): Tensor {
  const [plain, raw] = aligned(yTrue, yPred);
  const target = labelSmoothing ? add(multiply(plain, 1 - labelSmoothing), 0.5 * labelSmoothing) : plain;
  const pred = fromLogits ? sigmoid(raw) : raw;
  const other = subtract(1, target);
  const hit = add(multiply(target, pred), multiply(other, subtract(1, pred)));
  let cost = multiply(power(subtract(1, hit), gamma), binaryFromProbabilities(target, pred));
  if (applyClassBalancing) cost = multiply(add(multiply(target, alpha), multiply(other, 1 - alpha)), cost);
  return mean(cost, { axis });
}

export function categoricalFocalCrossentropy(
  yTrue: Operand,
  yPred: Operand,
  { alpha = 0.25, gamma = 2, fromLogits = false, labelSmoothing = 0, axis = -1 }: FocalOptions = {},
): Tensor {
  const [plain, raw] = aligned(yTrue, yPred);
  const target = labelSmoothing ? add(multiply(plain, 1 - labelSmoothing), labelSmoothing / raw.dims.at(axis)!) : plain;
  const scores = fromLogits ? softmax(raw, axis) : raw;
  const p = clip(divide(scores, sum(scores, { axis, keepdims: true })), epsilon, 1 - epsilon);
  const cost = negative(multiply(target, log(p)));
  return sum(multiply(multiply(power(subtract(1, p), gamma), alpha), cost), { axis });
}

/** For ignoreClass: which samples count. */
export function keptClasses(yTrue: Operand, ignoreClass: number): Tensor {
  const ignored = equal(cast(yTrue, 'int32'), ignoreClass);
  return subtract(1, cast(ignored, 'float32'));
}
