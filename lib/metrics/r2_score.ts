import type { OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { aligned } from '../losses/align.js';
import { shapeText } from '../ndarray.js';
import { abs, divide, equal, greater, multiply, square, subtract, where } from '../ops/math.js';
import { float, type Operand } from '../ops/operands.js';
import { mean, sum } from '../ops/reduce.js';
import { expandDims, onesLike } from '../ops/shape.js';
import * as rules from '../rules.js';
import { type Direction, Metric, type MetricOptions, metricFamily, type RunningSum } from './metric.js';

type Aggregation = 'uniform_average' | 'variance_weighted_average';

export interface R2ScoreOptions extends MetricOptions {
  /** How outputs become one number; null: a number each. Default 'uniformAverage'. */
  classAggregation?: 'uniformAverage' | 'varianceWeightedAverage' | Aggregation | null;
  /** Number of independent variables of the model, for the adjusted score. Default 0: not adjusted. */
  numRegressors?: number;
}

type Sums = Record<'squares' | 'values' | 'residual' | 'count', RunningSum>;

/**
 * The share of the targets' variance that predictions explain, for shapes [N, outputs]
 * (https://keras.io/api/metrics/regression_metrics/#r2score-class).
 */
export class R2Score extends Metric {
  static override readonly options: OptionTable = { classAggregation: 'nullable', numRegressors: rules.integer(0) };
  override readonly direction: Direction = 'up';
  readonly classAggregation: Aggregation | null;
  readonly numRegressors: number;
  private readonly samples = this.addSum('num_samples');
  private sums: Sums | undefined;

  constructor(options: R2ScoreOptions = {}) {
    super(options);
    const given = options.classAggregation === undefined ? 'uniform_average' : options.classAggregation;
    const snake = given?.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`) ?? null;
    if (snake !== null && snake !== 'uniform_average' && snake !== 'variance_weighted_average')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `R2Score: classAggregation must be 'uniformAverage', 'varianceWeightedAverage' or null, got '${given}'.`,
      );
    this.classAggregation = snake;
    this.numRegressors = options.numRegressors ?? 0;
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const [target, pred] = aligned(yTrue, yPred);
    const sums = this.counters(target, pred);
    const given = sampleWeight === undefined ? undefined : float(sampleWeight);
    const weights = given && (given.rank === 1 ? expandDims(given, 1) : given);
    const each = weights ? multiply(onesLike(target), weights) : onesLike(target);
    const over = { axis: 0 };
    const weighted = multiply(target, each);
    sums.values.add(sum(weighted, over));
    sums.squares.add(sum(multiply(target, weighted), over));
    sums.residual.add(sum(multiply(square(subtract(target, pred)), each), over));
    sums.count.add(sum(each, over));
    this.samples.add(sum(onesLike(target)));
  }

  override result(): Tensor {
    const sums = this.counters();
    const values = sums.values.value();
    const total = subtract(sums.squares.value(), multiply(values, divide(values, sums.count.value())));
    // Constant targets: their score is 0 (Keras turns infinity into 0).
    const quotient = subtract(1, divide(sums.residual.value(), total));
    const scores = where(equal(abs(quotient), Number.POSITIVE_INFINITY), 0, quotient);
    let score = scores;
    if (this.classAggregation === 'uniform_average') score = mean(scores);
    if (this.classAggregation === 'variance_weighted_average') score = divide(sum(multiply(total, scores)), sum(total));
    if (this.numRegressors === 0) return score;
    const n = this.samples.value();
    const freedom = subtract(subtract(n, this.numRegressors), 1);
    const adjusted = subtract(1, divide(multiply(subtract(1, score), subtract(n, 1)), freedom));
    // With too few samples the plain score stands, as in Keras.
    return where(greater(freedom, 0), adjusted, score);
  }

  private counters(yTrue?: Tensor, yPred?: Tensor): Sums {
    if (this.sums) return this.sums;
    if (!yTrue || !yPred) throw new ChainruleError('ERR_CHAINRULE_STATE', 'R2Score: result needs a batch first.');
    if (yTrue.rank !== 2 || yPred.rank !== 2)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `R2Score takes shapes [N, outputs]; got yTrue ${shapeText(yTrue.shape)} and yPred ${shapeText(yPred.shape)}.`,
      );
    const shape = [yPred.dims[1]!];
    this.sums = {
      squares: this.addSum('squared_sum', shape),
      values: this.addSum('sum', shape),
      residual: this.addSum('residual', shape),
      count: this.addSum('count', shape),
    };
    return this.sums;
  }
}

metricFamily.add(R2Score);
