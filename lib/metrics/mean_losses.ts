import { checked, type OptionTable } from '../config.js';
import * as losses from '../losses/crossentropy.js';
import * as regression from '../losses/regression.js';
import { negative } from '../ops/math.js';
import type { Axis } from '../ops/operands.js';
import * as rules from '../rules.js';
import { type MetricFunction, type MetricOptions, metricFamily } from './metric.js';
import { MeanMetric } from './reduction.js';

/** The mean of a loss function over samples. */
abstract class LossMetric extends MeanMetric {
  constructor(fn: MetricFunction, options: MetricOptions) {
    super(fn, options, 'down');
  }
}

export class MeanSquaredError extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.meanSquaredError, options);
  }
}

export class MeanAbsoluteError extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.meanAbsoluteError, options);
  }
}

export class MeanAbsolutePercentageError extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.meanAbsolutePercentageError, options);
  }
}

export class MeanSquaredLogarithmicError extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.meanSquaredLogarithmicError, options);
  }
}

export class LogCoshError extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.logCosh, { ...checked(new.target, options), name: options.name ?? 'logcosh' });
  }
}

export class KLDivergence extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.klDivergence, options);
  }
}

export class Poisson extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.poisson, options);
  }
}

export class Hinge extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.hinge, options);
  }
}

export class SquaredHinge extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.squaredHinge, options);
  }
}

export class CategoricalHinge extends LossMetric {
  constructor(options: MetricOptions = {}) {
    super(regression.categoricalHinge, options);
  }
}

/** The metric is the cosine itself: 1 is best. */
export class CosineSimilarity extends MeanMetric {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: Axis;

  constructor(options: MetricOptions & { axis?: Axis } = {}) {
    super((yTrue, yPred) => negative(regression.cosineSimilarity(yTrue, yPred, this)), options, 'up');
    this.axis = options.axis ?? -1;
  }
}

export type CrossentropyMetricOptions = MetricOptions & { fromLogits?: boolean; labelSmoothing?: number };

export class BinaryCrossentropy extends LossMetric {
  static override readonly options: OptionTable = { fromLogits: rules.flag, labelSmoothing: rules.between(0, 1) };
  readonly fromLogits: boolean;
  readonly labelSmoothing: number;

  constructor(options: CrossentropyMetricOptions = {}) {
    super((yTrue, yPred) => losses.binaryCrossentropy(yTrue, yPred, this), options);
    this.fromLogits = options.fromLogits ?? false;
    this.labelSmoothing = options.labelSmoothing ?? 0;
  }
}

export class CategoricalCrossentropy extends LossMetric {
  static override readonly options: OptionTable = {
    fromLogits: rules.flag,
    labelSmoothing: rules.between(0, 1),
    axis: rules.orList(rules.integer()),
  };
  readonly fromLogits: boolean;
  readonly labelSmoothing: number;
  readonly axis: number;

  constructor(options: CrossentropyMetricOptions & { axis?: number } = {}) {
    super((yTrue, yPred) => losses.categoricalCrossentropy(yTrue, yPred, this), options);
    this.fromLogits = options.fromLogits ?? false;
    this.labelSmoothing = options.labelSmoothing ?? 0;
    this.axis = options.axis ?? -1;
  }
}

export class SparseCategoricalCrossentropy extends LossMetric {
  static override readonly options: OptionTable = {
    fromLogits: rules.flag,
    ignoreClass: rules.integer(),
    axis: rules.orList(rules.integer()),
  };
  readonly fromLogits: boolean;
  readonly ignoreClass: number | undefined;
  readonly axis: number;

  constructor(options: MetricOptions & { fromLogits?: boolean; ignoreClass?: number; axis?: number } = {}) {
    super((yTrue, yPred) => losses.sparseCategoricalCrossentropy(yTrue, yPred, this), options);
    this.fromLogits = options.fromLogits ?? false;
    this.ignoreClass = options.ignoreClass;
    this.axis = options.axis ?? -1;
  }
}

metricFamily.add(MeanSquaredError, 'mse').add(MeanAbsoluteError, 'mae').add(MeanAbsolutePercentageError, 'mape');
metricFamily
  .add(MeanSquaredLogarithmicError, 'msle')
  .add(LogCoshError, 'logCosh')
  .add(KLDivergence, 'kld')
  .add(Poisson);
metricFamily.add(Hinge).add(SquaredHinge).add(CategoricalHinge).add(CosineSimilarity);
metricFamily.add(BinaryCrossentropy, 'bce').add(CategoricalCrossentropy).add(SparseCategoricalCrossentropy);
