import type { Tensor } from '../graph/tensor.js';
import {
  abs,
  add,
  clip,
  divide,
  equal,
  lessEqual,
  log,
  logicalOr,
  maximum,
  multiply,
  negative,
  square,
  subtract,
  where,
} from '../ops/math.js';
import { softplus } from '../ops/nn.js';
import type { Axis, Operand } from '../ops/operands.js';
import { all, max, mean, normalize, sum } from '../ops/reduce.js';
import { aligned, epsilon } from './align.js';

// Formulas: keras/src/losses/losses.py; each function gives one value per sample, the mean over the last axis.

const last = { axis: -1 };

export function meanSquaredError(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return mean(square(subtract(t, p)), last);
}

export function meanAbsoluteError(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return mean(abs(subtract(t, p)), last);
}

export function meanAbsolutePercentageError(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return multiply(mean(abs(divide(subtract(t, p), maximum(abs(t), epsilon))), last), 100);
}

export function meanSquaredLogarithmicError(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  const scaled = (x: Tensor): Tensor => log(add(maximum(x, epsilon), 1));
  return mean(square(subtract(scaled(p), scaled(t))), last);
}

/** Squared for errors up to delta, linear beyond. */
export function huber(yTrue: Operand, yPred: Operand, { delta = 1 }: { delta?: number } = {}): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  const error = abs(subtract(p, t));
  return mean(
    where(lessEqual(error, delta), multiply(square(error), 0.5), subtract(multiply(error, delta), 0.5 * delta * delta)),
    last,
  );
}

export function logCosh(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  const error = subtract(p, t);
  return mean(subtract(add(error, softplus(multiply(error, -2))), Math.LN2), last);
}

/** The negative cosine: −1 is best. */
export function cosineSimilarity(yTrue: Operand, yPred: Operand, { axis = -1 }: { axis?: Axis } = {}): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return negative(sum(multiply(normalize(t, { axis }), normalize(p, { axis })), { axis }));
}

export function klDivergence(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred).map((x) => clip(x, epsilon, 1)) as [Tensor, Tensor];
  return sum(multiply(t, log(divide(t, p))), last);
}

export function poisson(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return mean(subtract(p, multiply(t, log(add(p, epsilon)))), last);
}

/** Labels 0 and 1 count as −1 and 1 when no others occur. */
function signed(t: Tensor): Tensor {
  const binary = all(logicalOr(equal(t, 0), equal(t, 1)));
  return where(binary, subtract(multiply(t, 2), 1), t);
}

export function hinge(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return mean(maximum(subtract(1, multiply(signed(t), p)), 0), last);
}

export function squaredHinge(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return mean(square(maximum(subtract(1, multiply(signed(t), p)), 0)), last);
}

export function categoricalHinge(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  const best = sum(multiply(t, p), last);
  const other = max(multiply(subtract(1, t), p), last);
  return maximum(add(subtract(other, best), 1), 0);
}

/** 1 − 2|A∩B| / (|A| + |B|); without axis, over the whole batch. */
export function dice(yTrue: Operand, yPred: Operand, { axis }: { axis?: Axis } = {}): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  const both = sum(multiply(t, p), { axis });
  return subtract(1, divide(multiply(both, 2), add(add(sum(t, { axis }), sum(p, { axis })), epsilon)));
}

export function tversky(
  yTrue: Operand,
  yPred: Operand,
  { alpha = 0.5, beta = 0.5, axis }: { alpha?: number; beta?: number; axis?: Axis } = {},
): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  const both = sum(multiply(t, p), { axis });
  const missed = sum(multiply(subtract(1, p), t), { axis });
  const extra = sum(multiply(p, subtract(1, t)), { axis });
  const total = add(add(add(both, multiply(missed, alpha)), multiply(extra, beta)), epsilon);
  return subtract(1, divide(both, total));
}
