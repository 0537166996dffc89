import type { OptionTable } from '../config.js';
import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { Dimension } from '../graph/tensor.js';
import { aligned, alignWeights, sameRank } from '../losses/align.js';
import { divideNoNan } from '../ops/functions.js';
import { multiply, sqrt, square, subtract } from '../ops/math.js';
import { cast, float, type Operand, tensor } from '../ops/operands.js';
import { mean, sum } from '../ops/reduce.js';
import * as rules from '../rules.js';
import { type Direction, Metric, type MetricFunction, type MetricOptions, metricFamily } from './metric.js';

/** One value per sample and its weight (keras/src/metrics/reduction_metrics.py, reduce_to_samplewise_values). */
function perSample(
  values: Tensor,
  weights: Tensor | undefined,
  reduce: typeof mean,
): { values: Tensor; weights: Tensor | undefined } {
  const rest = (x: Tensor, from: number): number[] => x.dims.map((_, i) => i).slice(from);
  const inner = (x: Tensor, from: number): Tensor => (x.rank > from ? reduce(x, { axis: rest(x, from) }) : x);
  if (!weights) return { values: inner(values, 1), weights: undefined };
  let [value, weight] = sameRank(values, weights);
  value = inner(value, weight.rank);
  weight = emit('broadcastTo', [weight], { shape: [...value.dims] });
  return { values: inner(multiply(value, weight), 1), weights: inner(weight, 1) };
}

/** Rows, as a float scalar. */
function rowsOf(x: Tensor): Tensor {
  const dim = x.dims[0] ?? 1;
  return float(dim < 0 ? new Dimension(-dim) : dim);
}

/** The weighted mean of values. */
export class Mean extends Metric {
  private readonly total = this.addSum('total');
  private readonly count = this.addSum('count');

  /** `values` alone, or with their weights. */
  override updateState(values: Operand, sampleWeight?: Operand): void {
    const weights = sampleWeight === undefined ? undefined : float(sampleWeight);
    const samples = perSample(float(values), weights, mean);
    this.total.add(sum(samples.values));
    this.count.add(samples.weights ? sum(samples.weights) : rowsOf(samples.values));
  }

  override result(): Tensor {
    return divideNoNan(this.total.value(), this.count.value());
  }
}

/** The weighted sum of values. */
export class Sum extends Metric {
  private readonly total = this.addSum('total');

  override updateState(values: Operand, sampleWeight?: Operand): void {
    const weights = sampleWeight === undefined ? undefined : float(sampleWeight);
    this.total.add(sum(perSample(float(values), weights, sum).values));
  }

  override result(): Tensor {
    return this.total.value();
  }
}

/** The mean over samples of a function of targets and predictions; masked steps don't count. */
export class MeanMetric extends Metric {
  static override readonly options: OptionTable = { direction: { ...rules.oneOf('up', 'down'), kind: 'local' } };
  override readonly direction: Direction | undefined;
  private readonly total = this.addSum('total');
  private readonly count = this.addSum('count');

  constructor(
    protected readonly fn: MetricFunction,
    options: MetricOptions & { direction?: Direction } = {},
    direction?: Direction,
  ) {
    super(options);
    this.direction = options.direction ?? direction;
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const pred = tensor(yPred);
    const values = float(this.fn(tensor(yTrue), pred));
    const mask = pred.mask && cast(pred.mask, 'float32');
    let weights = sampleWeight === undefined ? mask : float(sampleWeight);
    if (mask && weights !== mask) weights = multiply(alignWeights(weights!, mask), mask);
    const samples = perSample(values, weights, mean);
    this.total.add(sum(samples.values));
    this.count.add(samples.weights ? sum(samples.weights) : rowsOf(samples.values));
  }

  override result(): Tensor {
    return divideNoNan(this.total.value(), this.count.value());
  }
}

export class RootMeanSquaredError extends MeanMetric {
  constructor(options: MetricOptions = {}) {
    super(
      (yTrue, yPred) => {
        const [t, p] = aligned(yTrue, yPred);
        return square(subtract(t, p));
      },
      options,
      'down',
    );
  }

  override result(): Tensor {
    return sqrt(super.result());
  }
}

metricFamily
  .add(Mean as never)
  .add(Sum as never)
  .add(RootMeanSquaredError, 'rmse');
