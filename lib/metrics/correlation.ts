import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { aligned, epsilon } from '../losses/align.js';
import { add, divide, multiply, sqrt, square, subtract } from '../ops/math.js';
import type { Axis, Operand } from '../ops/operands.js';
import { mean, variance } from '../ops/reduce.js';
import * as rules from '../rules.js';
import { type MetricOptions, metricFamily } from './metric.js';
import { MeanMetric } from './reduction.js';

/** Pearson's correlation along an axis, from -1 to 1 (keras/src/metrics/correlation_metrics.py). */
export function pearsonCorrelation(yTrue: Operand, yPred: Operand, { axis = -1 }: { axis?: Axis } = {}): Tensor {
  const standard = (x: Tensor): Tensor => {
    const centred = subtract(x, mean(x, { axis, keepdims: true }));
    return divide(centred, sqrt(variance(centred, { axis, keepdims: true })));
  };
  const [target, pred] = aligned(yTrue, yPred);
  return mean(multiply(standard(target), standard(pred)), { axis });
}

/** Lin's concordance correlation along an axis (keras/src/metrics/correlation_metrics.py). */
export function concordanceCorrelation(yTrue: Operand, yPred: Operand, { axis = -1 }: { axis?: Axis } = {}): Tensor {
  const [target, pred] = aligned(yTrue, yPred);
  const over = { axis, keepdims: true };
  const [targetMean, predMean] = [mean(target, over), mean(pred, over)];
  const spread = add(variance(target, over), variance(pred, over));
  // Keras takes the targets' distance from the mean of the predictions, which gives the same mean.
  const joint = multiply(subtract(target, predMean), subtract(pred, predMean));
  const norm = add(add(spread, square(subtract(targetMean, predMean))), epsilon);
  return mean(divide(multiply(joint, 2), norm), { axis });
}

type CorrelationOptions = MetricOptions & { axis?: Axis };

/** https://keras.io/api/metrics/regression_metrics/#pearsoncorrelation-class */
export class PearsonCorrelation extends MeanMetric {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: Axis;

  constructor(options: CorrelationOptions = {}) {
    super((yTrue, yPred) => pearsonCorrelation(yTrue, yPred, this), options, 'up');
    this.axis = options.axis ?? -1;
  }
}

/** https://keras.io/api/metrics/regression_metrics/#concordancecorrelation-class */
export class ConcordanceCorrelation extends MeanMetric {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: Axis;

  constructor(options: CorrelationOptions = {}) {
    super((yTrue, yPred) => concordanceCorrelation(yTrue, yPred, this), options, 'up');
    this.axis = options.axis ?? -1;
  }
}

metricFamily.add(PearsonCorrelation).add(ConcordanceCorrelation);
