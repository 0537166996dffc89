import type { OptionTable } from '../config.js';
import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { aligned, alignWeights } from '../losses/align.js';
import { NDArray } from '../ndarray.js';
import { divideNoNan } from '../ops/functions.js';
import { add, equal, greater, less, logicalAnd, logicalOr, multiply, notEqual, subtract, where } from '../ops/math.js';
import { float, type Operand } from '../ops/operands.js';
import { sum } from '../ops/reduce.js';
import { at, expandDims, iota, reshape } from '../ops/shape.js';
import * as rules from '../rules.js';
import { type Direction, Metric, type MetricOptions, metricFamily, type RunningSum } from './metric.js';

/** Counts of positive and negative predictions at each threshold, shape [thresholds] (or [thresholds, labels]). */
export interface Confusion {
  truePositives: Tensor;
  falsePositives: Tensor;
  trueNegatives: Tensor;
  falseNegatives: Tensor;
}

export interface ConfusionOptions {
  thresholds: readonly number[];
  topK?: number;
  classId?: number;
  /** Count each label apart. */
  multiLabel?: boolean;
  labelWeights?: readonly number[];
}

/** The confusion counts of a batch; a prediction is positive when it is above the threshold (strictly). */
export function confusion(
  yTrue: Operand,
  yPred: Operand,
  sampleWeight: Operand | undefined,
  options: ConfusionOptions,
): Confusion {
  let [target, pred] = aligned(yTrue, yPred);
  if (options.topK !== undefined) pred = keepTopK(pred, options.topK);
  if (options.classId !== undefined) [target, pred] = [at(target, options.classId, -1), at(pred, options.classId, -1)];
  const positive = float(notEqual(target, 0));
  let weights = sampleWeight === undefined ? undefined : alignWeights(float(sampleWeight), pred);
  if (options.labelWeights && !options.multiLabel) {
    const byLabel = new NDArray(Float32Array.from(options.labelWeights));
    weights = weights ? multiply(weights, byLabel) : emit('broadcastTo', [float(byLabel)], { shape: [...pred.dims] });
  }
  const shares = (of: Tensor): Tensor => (weights ? multiply(of, weights) : of);
  const flat = (x: Tensor): Tensor => (options.multiLabel ? expandDims(x, 0) : reshape(x, [1, -1]));
  const [yes, no] = [flat(shares(positive)), flat(shares(subtract(1, positive)))];
  const limits = reshape(new NDArray(Float32Array.from(options.thresholds)), options.multiLabel ? [-1, 1, 1] : [-1, 1]);
  const above = float(greater(flat(pred), limits));
  const axis = { axis: 1 };
  const truePositives = sum(multiply(above, yes), axis);
  const falsePositives = sum(multiply(above, no), axis);
  return {
    truePositives,
    falsePositives,
    trueNegatives: subtract(sum(no, axis), falsePositives),
    falseNegatives: subtract(sum(yes, axis), truePositives),
  };
}

/** The k largest scores of each row as they are, others far below any threshold; earlier ones win ties. */
function keepTopK(pred: Tensor, k: number): Tensor {
  const n = pred.dims.at(-1)!;
  const [own, other] = [expandDims(pred, -1), expandDims(pred, -2)];
  const earlier = less(iota([n, n], 1), iota([n, n], 0));
  const ahead = logicalOr(greater(other, own), logicalAnd(equal(other, own), earlier));
  return where(less(sum(float(ahead), { axis: -1 }), k), pred, topKFloor);
}

/** Keras's stand-in for minus infinity among scores. */
export const topKFloor = -1e10;

export type ThresholdOptions = MetricOptions & { thresholds?: number | readonly number[] };

const asList = (thresholds: number | readonly number[]): readonly number[] =>
  typeof thresholds === 'number' ? [thresholds] : thresholds;

/** One number for one threshold, a list for a list. */
function unlist(values: Tensor, thresholds: readonly number[]): Tensor {
  return thresholds.length === 1 ? at(values, 0) : values;
}

/** One of the four counts. */
abstract class ConfusionCount extends Metric {
  static override readonly options: OptionTable = { thresholds: rules.orList(rules.between(0, 1)) };
  readonly thresholds: readonly number[];
  private readonly count: RunningSum;

  constructor(
    private readonly which: keyof Confusion,
    options: ThresholdOptions = {},
  ) {
    super(options);
    this.thresholds = asList(options.thresholds ?? 0.5);
    this.count = this.addSum('accumulator', [this.thresholds.length]);
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    this.count.add(confusion(yTrue, yPred, sampleWeight, this)[this.which]);
  }

  override result(): Tensor {
    return unlist(this.count.value(), this.thresholds);
  }
}

export class TruePositives extends ConfusionCount {
  override readonly direction: Direction = 'up';
  constructor(options?: ThresholdOptions) {
    super('truePositives', options);
  }
}

export class TrueNegatives extends ConfusionCount {
  override readonly direction: Direction = 'up';
  constructor(options?: ThresholdOptions) {
    super('trueNegatives', options);
  }
}

export class FalsePositives extends ConfusionCount {
  override readonly direction: Direction = 'down';
  constructor(options?: ThresholdOptions) {
    super('falsePositives', options);
  }
}

export class FalseNegatives extends ConfusionCount {
  override readonly direction: Direction = 'down';
  constructor(options?: ThresholdOptions) {
    super('falseNegatives', options);
  }
}

export type PrecisionOptions = ThresholdOptions & { topK?: number; classId?: number };

abstract class PositiveRate extends Metric {
  static override readonly options: OptionTable = {
    thresholds: rules.orList(rules.between(0, 1)),
    topK: rules.integer(1),
    classId: rules.integer(),
  };
  override readonly direction: Direction = 'up';
  readonly thresholds: readonly number[];
  readonly topK: number | undefined;
  readonly classId: number | undefined;
  private readonly hits: RunningSum;
  private readonly misses: RunningSum;

  constructor(
    private readonly miss: 'falsePositives' | 'falseNegatives',
    options: PrecisionOptions = {},
  ) {
    super(options);
    this.topK = options.topK;
    this.classId = options.classId;
    this.thresholds = asList(options.thresholds ?? (this.topK === undefined ? 0.5 : topKFloor));
    this.hits = this.addSum('true_positives', [this.thresholds.length]);
    this.misses = this.addSum(miss === 'falsePositives' ? 'false_positives' : 'false_negatives', [
      this.thresholds.length,
    ]);
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const counts = confusion(yTrue, yPred, sampleWeight, this);
    this.hits.add(counts.truePositives);
    this.misses.add(counts[this.miss]);
  }

  override result(): Tensor {
    const hits = this.hits.value();
    return unlist(divideNoNan(hits, add(hits, this.misses.value())), this.thresholds);
  }
}

/** Of what was called positive, the part that is (https://keras.io/api/metrics/classification_metrics/#precision-class). */
export class Precision extends PositiveRate {
  constructor(options?: PrecisionOptions) {
    super('falsePositives', options);
  }
}

/** Of what is positive, the part that was called so. */
export class Recall extends PositiveRate {
  constructor(options?: PrecisionOptions) {
    super('falseNegatives', options);
  }
}

metricFamily.add(TruePositives).add(TrueNegatives).add(FalsePositives).add(FalseNegatives).add(Precision).add(Recall);
