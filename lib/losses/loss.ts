import { Configured, checked, Family, isUncalled, type OptionTable, type Serialized } from '../config.js';
import { ChainruleError, shown } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { snakeClass } from '../names.js';
import { divideNoNan } from '../ops/functions.js';
import { multiply } from '../ops/math.js';
import { cast, type Operand, tensor } from '../ops/operands.js';
import { mean, sum } from '../ops/reduce.js';
import * as rules from '../rules.js';
import { alignWeights, sameRank } from './align.js';

export type Reduction =
  | 'sum_over_batch_size'
  | 'sumOverBatchSize'
  | 'sum'
  | 'mean'
  | 'mean_with_sample_weight'
  | 'meanWithSampleWeight'
  | 'none';

export interface LossOptions {
  /** How the values of the samples become one number. Default: their mean; null is 'none'. */
  reduction?: Reduction | null;
  name?: string;
}

/** One value per sample, without reduction. */
export type LossFunction = (yTrue: Tensor, yPred: Tensor) => Tensor;

/** A measure of error to minimise: values per sample, weights, one number (https://keras.io/api/losses/). */
export abstract class Loss extends Configured {
  static override readonly options: OptionTable = { name: rules.text, reduction: 'nullable' };
  readonly name: string;
  readonly reduction: Reduction;

  constructor(options: LossOptions = {}) {
    super(options);
    this.name = options.name ?? this.defaultName;
    this.reduction = options.reduction === undefined ? 'sum_over_batch_size' : snakeReduction(options.reduction);
  }

  protected get defaultName(): string {
    return snakeClass(this.className);
  }

  /** One value per sample. */
  abstract call(yTrue: Tensor, yPred: Tensor): Tensor;

  /** The reduced loss. A mask on the predictions leaves masked steps out. */
  apply(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): Tensor {
    const pred = tensor(yPred);
    const values = this.call(tensor(yTrue), pred);
    return reduceLoss(
      values,
      sampleWeight === undefined ? undefined : cast(sampleWeight, 'float32'),
      this.mask(tensor(yTrue), pred, values),
      this.reduction,
    );
  }

  /** Which values count. */
  protected mask(_yTrue: Tensor, yPred: Tensor, _values: Tensor): Tensor | undefined {
    return yPred.mask;
  }
}

function snakeReduction(reduction: Reduction | null): Reduction {
  if (reduction === null) return 'none';
  const known: Record<string, Reduction> = {
    sumOverBatchSize: 'sum_over_batch_size',
    meanWithSampleWeight: 'mean_with_sample_weight',
  };
  const name = known[reduction] ?? reduction;
  if (['sum_over_batch_size', 'sum', 'mean', 'mean_with_sample_weight', 'none'].includes(name)) return name;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `loss: reduction is ${shown(reduction)}; it is 'sumOverBatchSize', 'sum', 'mean', 'meanWithSampleWeight' or 'none'.`,
  );
}

/** keras/src/losses/loss.py, reduce_weighted_values. */
export function reduceLoss(
  values: Tensor,
  sampleWeight: Tensor | undefined,
  mask: Tensor | undefined,
  reduction: Reduction,
): Tensor {
  let weights = sampleWeight && alignWeights(sampleWeight, values);
  if (mask && values.rank > 0) {
    let counts = alignWeights(cast(mask, 'float32'), values);
    // With a mean, the divisor must be the number of valid steps rather than of all; there may be none.
    if (reduction === 'mean' || reduction === 'sum_over_batch_size') {
      counts = divideNoNan(counts, mean(counts));
    }
    weights = weights ? multiply(weights, counts) : counts;
  }
  const weighted = weights ? multiply(values, weights) : values;
  if (reduction === 'none' || weighted.rank === 0) return weighted;
  if (reduction === 'sum') return sum(weighted);
  if (reduction !== 'mean_with_sample_weight' || !weights) return mean(weighted);
  return divideNoNan(sum(weighted), sum(weights));
}

/** A loss made of a plain function; targets [N] reach it as [N, 1] where the predictions are, as in Keras. */
export class FunctionLoss extends Loss {
  constructor(
    private readonly fn: LossFunction,
    options: LossOptions = {},
  ) {
    if (typeof fn !== 'function')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `FunctionLoss: a function (yTrue, yPred) → values per sample is expected, got ${shown(fn)}.`,
      );
    super({ ...checked(new.target, options), name: options.name ?? (fn.name || 'loss') });
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return this.fn(...sameRank(yTrue, yPred));
  }
}

export const lossFamily = new Family<Loss>('loss', 'keras.losses');

export type LossName =
  | 'meanSquaredError'
  | 'mse'
  | 'meanAbsoluteError'
  | 'mae'
  | 'meanAbsolutePercentageError'
  | 'mape'
  | 'meanSquaredLogarithmicError'
  | 'msle'
  | 'huber'
  | 'logCosh'
  | 'cosineSimilarity'
  | 'klDivergence'
  | 'poisson'
  | 'hinge'
  | 'squaredHinge'
  | 'categoricalHinge'
  | 'binaryCrossentropy'
  | 'categoricalCrossentropy'
  | 'sparseCategoricalCrossentropy'
  | 'binaryFocalCrossentropy'
  | 'categoricalFocalCrossentropy'
  | 'dice'
  | 'tversky'
  | 'circle'
  | 'categoricalGeneralizedCrossEntropy';
export type LossSpec = LossName | Loss | LossFunction | Serialized;

/** A loss from a name, an object, a config or a function (yTrue, yPred) → values per sample. */
export function resolveLoss(spec: LossSpec): Loss {
  const isFormula = typeof spec === 'function' && !isUncalled(spec);
  return isFormula ? new FunctionLoss(spec) : lossFamily.resolve(spec as Loss);
}
