import { checked, type OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { epsilon } from '../losses/align.js';
import { shapeText } from '../ndarray.js';
import { abs, add, divide, greater, greaterEqual, logicalAnd, multiply, subtract } from '../ops/math.js';
import { float, type Operand } from '../ops/operands.js';
import { max, mean, sum } from '../ops/reduce.js';
import { expandDims } from '../ops/shape.js';
import * as rules from '../rules.js';
import { type Direction, Metric, type MetricOptions, metricFamily, type RunningSum } from './metric.js';

export interface FBetaScoreOptions extends MetricOptions {
  /** A number for each class (absent), over all counts, the mean of the classes, or weighted by their frequency. */
  average?: 'micro' | 'macro' | 'weighted' | undefined;
  /** Weight of recall against precision. Default 1. */
  beta?: number;
  /** Predictions above it count; absent: the largest of each row. */
  threshold?: number | undefined;
}

const share: rules.Rule = {
  expected: 'a number above 0 and at most 1',
  allows: (value) => rules.between(0, 1).allows(value) && value !== 0,
};

type Sums = Record<'truePositives' | 'falsePositives' | 'falseNegatives' | 'weights', RunningSum>;

/**
 * (1 + β²) · precision · recall / (β² · precision + recall), for targets and predictions of shape [N, classes]
 * (https://keras.io/api/metrics/classification_metrics/#fbetascore-class).
 */
export class FBetaScore extends Metric {
  static override readonly options: OptionTable = { average: 'value', beta: rules.above(0), threshold: share };
  override readonly direction: Direction = 'up';
  readonly average: 'micro' | 'macro' | 'weighted' | undefined;
  readonly beta: number;
  readonly threshold: number | undefined;
  private sums: Sums | undefined;

  constructor(options: FBetaScoreOptions = {}) {
    super({ ...checked(new.target, options), name: options.name ?? 'fbeta_score' });
    this.average = options.average;
    this.beta = options.beta ?? 1;
    this.threshold = options.threshold;
    if (this.average !== undefined && !['micro', 'macro', 'weighted'].includes(this.average))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${this.className}: average must be 'micro', 'macro', 'weighted' or absent, got '${String(this.average)}'.`,
      );
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const [target, scores] = [float(yTrue), float(yPred)];
    const sums = this.counters(target, scores);
    // A row of zeros has no largest place.
    const chosen =
      this.threshold === undefined
        ? logicalAnd(greaterEqual(scores, max(scores, { axis: -1, keepdims: true })), greater(abs(scores), 1e-9))
        : greater(scores, this.threshold);
    const pred = float(chosen);
    const weights = sampleWeight === undefined ? undefined : expandDims(float(sampleWeight), 1);
    const total = (values: Tensor): Tensor =>
      sum(weights ? multiply(values, weights) : values, this.average === 'micro' ? {} : { axis: 0 });
    sums.truePositives.add(total(multiply(pred, target)));
    sums.falsePositives.add(total(multiply(pred, subtract(1, target))));
    sums.falseNegatives.add(total(multiply(subtract(1, pred), target)));
    sums.weights.add(total(target));
  }

  override result(): Tensor {
    const sums = this.counters();
    const hits = sums.truePositives.value();
    const precision = divide(hits, add(add(hits, sums.falsePositives.value()), epsilon));
    const recall = divide(hits, add(add(hits, sums.falseNegatives.value()), epsilon));
    const square = this.beta * this.beta;
    const both = divide(multiply(precision, recall), add(add(multiply(precision, square), recall), epsilon));
    const score = multiply(both, 1 + square);
    if (this.average === undefined) return score;
    if (this.average !== 'weighted') return mean(score);
    const weights = sums.weights.value();
    return sum(multiply(score, divide(weights, add(sum(weights), epsilon))));
  }

  /** Made with the first batch, because only then the number of classes is known. */
  private counters(yTrue?: Tensor, yPred?: Tensor): Sums {
    if (this.sums) return this.sums;
    if (!yTrue || !yPred)
      throw new ChainruleError('ERR_CHAINRULE_STATE', `${this.className}: result needs a batch first.`);
    if (yTrue.rank !== 2 || yPred.rank !== 2)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `${this.className} takes shapes [N, classes]; got yTrue ${shapeText(yTrue.shape)} and yPred ${shapeText(yPred.shape)}. Make class numbers one-hot first.`,
      );
    const shape = this.average === 'micro' ? [] : [yPred.dims[1]!];
    this.sums = {
      truePositives: this.addSum('true_positives', shape),
      falsePositives: this.addSum('false_positives', shape),
      falseNegatives: this.addSum('false_negatives', shape),
      weights: this.addSum('intermediate_weights', shape),
    };
    return this.sums;
  }
}

/** The harmonic mean of precision and recall (https://keras.io/api/metrics/classification_metrics/#f1score-class). */
export class F1Score extends FBetaScore {
  constructor(options: Omit<FBetaScoreOptions, 'beta'> = {}) {
    super({ ...checked(new.target, options), name: options.name ?? 'f1_score' });
  }

  override getConfig(): Record<string, unknown> {
    const { beta: _, ...config } = super.getConfig();
    return config;
  }
}

metricFamily.add(FBetaScore).add(F1Score);
