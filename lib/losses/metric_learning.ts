import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import {
  add,
  divide,
  equal,
  greater,
  logicalAnd,
  matmul,
  maximum,
  multiply,
  notEqual,
  power,
  subtract,
  where,
} from '../ops/math.js';
import { softplus } from '../ops/nn.js';
import { cast, float, type Operand, tensor } from '../ops/operands.js';
import { logsumexp, sum } from '../ops/reduce.js';
import { arange, expandDims, oneHot, reshape, shape, squeeze, transpose } from '../ops/shape.js';
import * as rules from '../rules.js';
import { Loss, type LossOptions, lossFamily } from './loss.js';

export interface CircleOptions {
  /** Scale of the logits. Default 80. */
  gamma?: number;
  /** Relaxation. Default 0.4. */
  margin?: number;
  /** A sample is no pair with itself. Default true; false where other reference embeddings are given. */
  removeDiagonal?: boolean;
}

/** Stands for minus infinity: its exponential is 0, and sums of it stay finite. */
const never = -1e30;

/**
 * Pulls embeddings [N, features] of equal labels [N] together and pushes others apart; embeddings are expected with
 * length 1 (Sun et al., Circle Loss, 2020; https://keras.io/api/losses/). One value per sample.
 */
export function circle(
  yTrue: Operand,
  yPred: Operand,
  {
    gamma = 80,
    margin = 0.4,
    removeDiagonal = true,
    refLabels,
    refEmbeddings,
  }: CircleOptions & { refLabels?: Operand; refEmbeddings?: Operand } = {},
): Tensor {
  const embeddings = float(yPred);
  const column = (ids: Operand): Tensor => reshape(cast(ids, 'int32'), [-1, 1]);
  const labels = column(yTrue);
  const others = refLabels === undefined ? labels : column(refLabels);
  const references = refEmbeddings === undefined ? embeddings : float(refEmbeddings);
  const distances = maximum(subtract(1, matmul(embeddings, transpose(references))), 0);
  const same = equal(labels, transpose(others));
  const rows = arange(shape(embeddings)[0]!);
  const pairs = removeDiagonal ? logicalAnd(same, notEqual(expandDims(rows, 1), expandDims(rows, 0))) : same;
  const attracted = multiply(maximum(add(distances, margin), 0), subtract(margin, distances));
  const repelled = multiply(maximum(subtract(1 + margin, distances), 0), subtract(1 - margin, distances));
  const near = logsumexp(where(pairs, multiply(attracted, -gamma), never), { axis: 1 });
  const far = logsumexp(where(same, never, multiply(repelled, gamma)), { axis: 1 });
  return softplus(add(near, far));
}

/** As circle; samples without a positive or negative pair don't count. */
export class Circle extends Loss {
  static override readonly options: OptionTable = {
    gamma: rules.above(0),
    margin: rules.number,
    removeDiagonal: rules.flag,
  };
  readonly gamma: number;
  readonly margin: number;
  readonly removeDiagonal: boolean;

  constructor(options: LossOptions & CircleOptions = {}) {
    super(options);
    const { gamma = 80, margin = 0.4, removeDiagonal = true } = options;
    this.gamma = gamma;
    this.margin = margin;
    this.removeDiagonal = removeDiagonal;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return circle(yTrue, yPred, this);
  }

  protected override mask(_yTrue: Tensor, yPred: Tensor, values: Tensor): Tensor {
    const positive = greater(values, 0);
    return yPred.mask ? logicalAnd(yPred.mask, positive) : positive;
  }
}

/**
 * (1 − pᑫ) / q of the probability of the true class: between cross-entropy (q → 0) and mean absolute error (q → 1), for
 * noisy labels [N] (Zhang and Sabuncu, 2018).
 */
export function categoricalGeneralizedCrossEntropy(
  yTrue: Operand,
  yPred: Operand,
  { q = 0.5 }: { q?: number } = {},
): Tensor {
  const pred = float(yPred);
  const ids = tensor(yTrue);
  const labels = ids.rank === pred.rank && ids.dims.at(-1) === 1 ? squeeze(ids, -1) : ids;
  const own = sum(multiply(pred, oneHot(cast(labels, 'int32'), pred.dims.at(-1)!)), { axis: -1 });
  return divide(subtract(1, power(own, q)), q);
}

/** Keras's limits. */
const open: rules.Rule = {
  expected: 'a number above 0 and below 1',
  allows: (value) => rules.below(0, 1).allows(value) && value !== 0,
};

export class CategoricalGeneralizedCrossEntropy extends Loss {
  static override readonly options: OptionTable = { q: open };
  readonly q: number;

  constructor(options: LossOptions & { q?: number } = {}) {
    super(options);
    this.q = options.q ?? 0.5;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return categoricalGeneralizedCrossEntropy(yTrue, yPred, this);
  }
}

lossFamily.add(Circle).add(CategoricalGeneralizedCrossEntropy);
