import { make } from '../class_options.js';
import { isUncalled, noteFactory, type Serialized } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import type { Operand } from '../ops/operands.js';
import * as acc from './accuracy.js';
import * as constrained from './at_constraint.js';
import { AUC, type AUCOptions } from './auc.js';
import * as confusion from './confusion.js';
import * as correlation from './correlation.js';
import * as score from './f_score.js';
import * as iou from './intersection.js';
import * as mean from './mean_losses.js';
import { type Metric, type MetricFunction, type MetricOptions, metricFamily } from './metric.js';
import { R2Score, type R2ScoreOptions } from './r2_score.js';
import * as reduction from './reduction.js';

export * from './accuracy.js';
export * from './at_constraint.js';
export { AUC, type AUCOptions } from './auc.js';
export {
  FalseNegatives,
  FalsePositives,
  Precision,
  type PrecisionOptions,
  Recall,
  type ThresholdOptions,
  TrueNegatives,
  TruePositives,
} from './confusion.js';
export { ConcordanceCorrelation, PearsonCorrelation } from './correlation.js';
export * from './f_score.js';
export * from './intersection.js';
export * from './mean_losses.js';
export { type Direction, Metric, type MetricFunction, type MetricOptions, RunningSum } from './metric.js';
export { R2Score, type R2ScoreOptions } from './r2_score.js';
export { Mean, MeanMetric, RootMeanSquaredError, Sum } from './reduction.js';

export type MetricName =
  | 'accuracy'
  | 'acc'
  | 'binaryAccuracy'
  | 'categoricalAccuracy'
  | 'sparseCategoricalAccuracy'
  | 'topKCategoricalAccuracy'
  | 'sparseTopKCategoricalAccuracy'
  | 'auc'
  | 'precision'
  | 'recall'
  | 'truePositives'
  | 'trueNegatives'
  | 'falsePositives'
  | 'falseNegatives'
  | 'mse'
  | 'meanSquaredError'
  | 'mae'
  | 'meanAbsoluteError'
  | 'mape'
  | 'meanAbsolutePercentageError'
  | 'msle'
  | 'meanSquaredLogarithmicError'
  | 'r2Score'
  | 'f1Score'
  | 'fBetaScore'
  | 'binaryIoU'
  | 'pearsonCorrelation'
  | 'concordanceCorrelation'
  | 'rmse'
  | 'rootMeanSquaredError'
  | 'cosineSimilarity'
  | 'klDivergence'
  | 'logCosh'
  | 'poisson'
  | 'hinge'
  | 'squaredHinge'
  | 'categoricalHinge'
  | 'binaryCrossentropy'
  | 'categoricalCrossentropy'
  | 'sparseCategoricalCrossentropy';
/** A name, an object, a config, or a function (yTrue, yPred) → values per sample, whose mean is taken. */
export type MetricSpec = MetricName | Metric | MetricFunction | Serialized;

/** A metric from what compile accepts; 'accuracy' and 'acc' are resolved with the shapes, by the model. */
export function resolveMetric(spec: MetricSpec): Metric {
  return typeof spec === 'function' && !isUncalled(spec)
    ? new reduction.MeanMetric(spec, { name: spec.name || 'metric' })
    : metricFamily.resolve(spec as Metric);
}

/** With options: a metric object. With (yTrue, yPred, options): the values per sample, for use in a trace. */
interface AccuracyEntry<O, M extends Metric> {
  (options?: O & MetricOptions): M;
  (yTrue: Operand, yPred: Operand, options?: O): Tensor;
}

function entry<O, M extends Metric>(
  values: (yTrue: Operand, yPred: Operand, options?: O) => Tensor,
  cls: new (options?: O & MetricOptions) => M,
): AccuracyEntry<O, M> {
  return noteFactory(((...args: [(O & MetricOptions)?] | [Operand, Operand, O?]) =>
    args.length < 2
      ? make(cls, args[0] as O & MetricOptions)
      : values(args[0] as Operand, args[1] as Operand, args[2])) as AccuracyEntry<O, M>);
}

const binaryAccuracy = entry(acc.binaryAccuracy, acc.BinaryAccuracy);
const categoricalAccuracy = entry<object, acc.CategoricalAccuracy>(acc.categoricalAccuracy, acc.CategoricalAccuracy);
const sparseCategoricalAccuracy = entry<object, acc.SparseCategoricalAccuracy>(
  acc.sparseCategoricalAccuracy,
  acc.SparseCategoricalAccuracy,
);
const topKCategoricalAccuracy = entry(acc.topKCategoricalAccuracy, acc.TopKCategoricalAccuracy);
const sparseTopKCategoricalAccuracy = entry(acc.sparseTopKCategoricalAccuracy, acc.SparseTopKCategoricalAccuracy);

export {
  binaryAccuracy,
  categoricalAccuracy,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
};

export const auc = (options?: AUCOptions): AUC => make(AUC, options);
export const precision = (options?: confusion.PrecisionOptions): confusion.Precision =>
  make(confusion.Precision, options);
export const recall = (options?: confusion.PrecisionOptions): confusion.Recall => make(confusion.Recall, options);
export const truePositives = (options?: confusion.ThresholdOptions): confusion.TruePositives =>
  make(confusion.TruePositives, options);
export const trueNegatives = (options?: confusion.ThresholdOptions): confusion.TrueNegatives =>
  make(confusion.TrueNegatives, options);
export const falsePositives = (options?: confusion.ThresholdOptions): confusion.FalsePositives =>
  make(confusion.FalsePositives, options);
export const falseNegatives = (options?: confusion.ThresholdOptions): confusion.FalseNegatives =>
  make(confusion.FalseNegatives, options);
export const f1Score = (options?: ConstructorParameters<typeof score.F1Score>[0]): score.F1Score =>
  make(score.F1Score, options);
export const fBetaScore = (options?: score.FBetaScoreOptions): score.FBetaScore => make(score.FBetaScore, options);
export const r2Score = (options?: R2ScoreOptions): R2Score => make(R2Score, options);
export const ioU = (options: iou.IoUOptions): iou.IoU => make(iou.IoU, options);
export const meanIoU = (options: iou.MeanIoUOptions): iou.MeanIoU => make(iou.MeanIoU, options);
export const oneHotIoU = (options: ConstructorParameters<typeof iou.OneHotIoU>[0]): iou.OneHotIoU =>
  make(iou.OneHotIoU, options);
export const oneHotMeanIoU = (options: ConstructorParameters<typeof iou.OneHotMeanIoU>[0]): iou.OneHotMeanIoU =>
  make(iou.OneHotMeanIoU, options);
export const binaryIoU = (options?: iou.BinaryIoUOptions): iou.BinaryIoU => make(iou.BinaryIoU, options);

type Constrained<C extends new (options: never) => unknown> = ConstructorParameters<C>[0];
export const sensitivityAtSpecificity = (
  options: Constrained<typeof constrained.SensitivityAtSpecificity>,
): constrained.SensitivityAtSpecificity => make(constrained.SensitivityAtSpecificity, options);
export const specificityAtSensitivity = (
  options: Constrained<typeof constrained.SpecificityAtSensitivity>,
): constrained.SpecificityAtSensitivity => make(constrained.SpecificityAtSensitivity, options);
export const precisionAtRecall = (
  options: Constrained<typeof constrained.PrecisionAtRecall>,
): constrained.PrecisionAtRecall => make(constrained.PrecisionAtRecall, options);
export const recallAtPrecision = (
  options: Constrained<typeof constrained.RecallAtPrecision>,
): constrained.RecallAtPrecision => make(constrained.RecallAtPrecision, options);

const pearsonCorrelation = entry(correlation.pearsonCorrelation, correlation.PearsonCorrelation);
const concordanceCorrelation = entry(correlation.concordanceCorrelation, correlation.ConcordanceCorrelation);

export { concordanceCorrelation, pearsonCorrelation };
export const meanSquaredError = (options?: MetricOptions): mean.MeanSquaredError =>
  make(mean.MeanSquaredError, options);
export const meanAbsoluteError = (options?: MetricOptions): mean.MeanAbsoluteError =>
  make(mean.MeanAbsoluteError, options);
export const rootMeanSquaredError = (options?: MetricOptions): reduction.RootMeanSquaredError =>
  make(reduction.RootMeanSquaredError, options);
export const binaryCrossentropy = (options?: mean.CrossentropyMetricOptions): mean.BinaryCrossentropy =>
  make(mean.BinaryCrossentropy, options);
export const categoricalCrossentropy = (
  options?: ConstructorParameters<typeof mean.CategoricalCrossentropy>[0],
): mean.CategoricalCrossentropy => make(mean.CategoricalCrossentropy, options);
export const sparseCategoricalCrossentropy = (
  options?: ConstructorParameters<typeof mean.SparseCategoricalCrossentropy>[0],
): mean.SparseCategoricalCrossentropy => make(mean.SparseCategoricalCrossentropy, options);
export const cosineSimilarity = (
  options?: ConstructorParameters<typeof mean.CosineSimilarity>[0],
): mean.CosineSimilarity => make(mean.CosineSimilarity, options);

// The accuracies and correlations are noted by `entry`.
for (const factory of [
  auc,
  precision,
  recall,
  truePositives,
  trueNegatives,
  falsePositives,
  falseNegatives,
  f1Score,
  fBetaScore,
  r2Score,
  ioU,
  meanIoU,
  oneHotIoU,
  oneHotMeanIoU,
  binaryIoU,
  sensitivityAtSpecificity,
  specificityAtSensitivity,
  precisionAtRecall,
  recallAtPrecision,
  meanSquaredError,
  meanAbsoluteError,
  rootMeanSquaredError,
  binaryCrossentropy,
  categoricalCrossentropy,
  sparseCategoricalCrossentropy,
  cosineSimilarity,
])
  noteFactory(factory);

/** A metric from a name, a config, a function or an object, and back into a config. */
export const get = resolveMetric;
export const serialize = (metric: Metric): Serialized => metricFamily.serialize(metric);
