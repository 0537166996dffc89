import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { aligned } from '../losses/align.js';
import { equal, greater } from '../ops/math.js';
import { float, type Operand, tensor } from '../ops/operands.js';
import { argmax, inTopK } from '../ops/reduce.js';
import { squeeze } from '../ops/shape.js';
import * as rules from '../rules.js';
import { type MetricOptions, metricFamily } from './metric.js';
import { MeanMetric } from './reduction.js';

// Formulas: keras/src/metrics/accuracy_metrics.py; values are 1 where right, else 0.

export function accuracy(yTrue: Operand, yPred: Operand): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return float(equal(t, p));
}

/** Right where the prediction is above the threshold (strictly) and the target is 1, or neither. */
export function binaryAccuracy(
  yTrue: Operand,
  yPred: Operand,
  { threshold = 0.5 }: { threshold?: number } = {},
): Tensor {
  const [t, p] = aligned(yTrue, yPred);
  return float(equal(t, float(greater(p, threshold))));
}

export function categoricalAccuracy(yTrue: Operand, yPred: Operand): Tensor {
  return float(equal(argmax(yTrue, { axis: -1 }), argmax(yPred, { axis: -1 })));
}

function classNumbers(yTrue: Operand, pred: Tensor): Tensor {
  const target = tensor(yTrue);
  return target.rank === pred.rank && target.dims.at(-1) === 1 ? squeeze(target, -1) : target;
}

export function sparseCategoricalAccuracy(yTrue: Operand, yPred: Operand): Tensor {
  const pred = tensor(yPred);
  return float(equal(float(classNumbers(yTrue, pred)), float(argmax(pred, { axis: -1 }))));
}

export function topKCategoricalAccuracy(yTrue: Operand, yPred: Operand, { k = 5 }: { k?: number } = {}): Tensor {
  return float(inTopK(argmax(yTrue, { axis: -1 }), yPred, k));
}

export function sparseTopKCategoricalAccuracy(yTrue: Operand, yPred: Operand, { k = 5 }: { k?: number } = {}): Tensor {
  const pred = tensor(yPred);
  return float(inTopK(classNumbers(yTrue, pred), pred, k));
}

export class Accuracy extends MeanMetric {
  constructor(options: MetricOptions = {}) {
    super(accuracy, options, 'up');
  }
}

export class BinaryAccuracy extends MeanMetric {
  static override readonly options: OptionTable = { threshold: rules.number };
  readonly threshold: number;

  constructor(options: MetricOptions & { threshold?: number } = {}) {
    super((yTrue, yPred) => binaryAccuracy(yTrue, yPred, this), options, 'up');
    this.threshold = options.threshold ?? 0.5;
  }
}

export class CategoricalAccuracy extends MeanMetric {
  constructor(options: MetricOptions = {}) {
    super(categoricalAccuracy, options, 'up');
  }
}

export class SparseCategoricalAccuracy extends MeanMetric {
  constructor(options: MetricOptions = {}) {
    super(sparseCategoricalAccuracy, options, 'up');
  }
}

export class TopKCategoricalAccuracy extends MeanMetric {
  static override readonly options: OptionTable = { k: rules.integer(1) };
  readonly k: number;

  constructor(options: MetricOptions & { k?: number } = {}) {
    super((yTrue, yPred) => topKCategoricalAccuracy(yTrue, yPred, this), options, 'up');
    this.k = options.k ?? 5;
  }
}

export class SparseTopKCategoricalAccuracy extends MeanMetric {
  static override readonly options: OptionTable = { k: rules.integer(1) };
  readonly k: number;

  constructor(options: MetricOptions & { k?: number } = {}) {
    super((yTrue, yPred) => sparseTopKCategoricalAccuracy(yTrue, yPred, this), options, 'up');
    this.k = options.k ?? 5;
  }
}

metricFamily.add(Accuracy).add(BinaryAccuracy).add(CategoricalAccuracy).add(SparseCategoricalAccuracy);
metricFamily.add(TopKCategoricalAccuracy).add(SparseTopKCategoricalAccuracy);
