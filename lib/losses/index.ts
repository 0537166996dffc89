import { make } from '../class_options.js';
import { noteFactory, type Serialized } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import type { Operand } from '../ops/operands.js';
import * as classes from './classes.js';
import * as crossentropy from './crossentropy.js';
import { type Loss, type LossOptions, lossFamily, resolveLoss } from './loss.js';
import * as learning from './metric_learning.js';
import * as regression from './regression.js';

export * from './classes.js';
export {
  FunctionLoss,
  Loss,
  type LossFunction,
  type LossName,
  type LossOptions,
  type LossSpec,
  type Reduction,
} from './loss.js';
export { CategoricalGeneralizedCrossEntropy, Circle, type CircleOptions } from './metric_learning.js';

/** With options: a Loss object. With (yTrue, yPred, options): the values per sample, for use in a trace. */
export interface LossEntry<O, L extends Loss> {
  (options?: O): L;
  (yTrue: Operand, yPred: Operand, options?: O): Tensor;
}

function entry<O, L extends Loss>(
  values: (yTrue: Operand, yPred: Operand, options?: O & LossOptions) => Tensor,
  cls: new (options?: O) => L,
): LossEntry<O, L> {
  return noteFactory(((...args: [O?] | [Operand, Operand, (O & LossOptions)?]) =>
    args.length < 2
      ? make(cls, args[0] as O)
      : values(args[0] as Operand, args[1] as Operand, args[2] as O & LossOptions)) as LossEntry<O, L>);
}

export const meanSquaredError = entry<LossOptions, classes.MeanSquaredError>(
  regression.meanSquaredError,
  classes.MeanSquaredError,
);
export const meanAbsoluteError = entry<LossOptions, classes.MeanAbsoluteError>(
  regression.meanAbsoluteError,
  classes.MeanAbsoluteError,
);
export const meanAbsolutePercentageError = entry<LossOptions, classes.MeanAbsolutePercentageError>(
  regression.meanAbsolutePercentageError,
  classes.MeanAbsolutePercentageError,
);
export const meanSquaredLogarithmicError = entry<LossOptions, classes.MeanSquaredLogarithmicError>(
  regression.meanSquaredLogarithmicError,
  classes.MeanSquaredLogarithmicError,
);
export const huber = entry(regression.huber, classes.Huber);
export const logCosh = entry<LossOptions, classes.LogCosh>(regression.logCosh, classes.LogCosh);
export const cosineSimilarity = entry(regression.cosineSimilarity, classes.CosineSimilarity);
export const klDivergence = entry<LossOptions, classes.KLDivergence>(regression.klDivergence, classes.KLDivergence);
export const poisson = entry<LossOptions, classes.Poisson>(regression.poisson, classes.Poisson);
export const hinge = entry<LossOptions, classes.Hinge>(regression.hinge, classes.Hinge);
export const squaredHinge = entry<LossOptions, classes.SquaredHinge>(regression.squaredHinge, classes.SquaredHinge);
export const categoricalHinge = entry<LossOptions, classes.CategoricalHinge>(
  regression.categoricalHinge,
  classes.CategoricalHinge,
);
export const dice = entry(regression.dice, classes.Dice);
export const tversky = entry(regression.tversky, classes.Tversky);
export const binaryCrossentropy = entry(crossentropy.binaryCrossentropy, classes.BinaryCrossentropy);
export const categoricalCrossentropy = entry(crossentropy.categoricalCrossentropy, classes.CategoricalCrossentropy);
export const sparseCategoricalCrossentropy = entry(
  crossentropy.sparseCategoricalCrossentropy,
  classes.SparseCategoricalCrossentropy,
);
export const binaryFocalCrossentropy = entry(crossentropy.binaryFocalCrossentropy, classes.BinaryFocalCrossentropy);
export const categoricalFocalCrossentropy = entry(
  crossentropy.categoricalFocalCrossentropy,
  classes.CategoricalFocalCrossentropy,
);
export const circle = entry(learning.circle, learning.Circle);
export const categoricalGeneralizedCrossEntropy = entry(
  learning.categoricalGeneralizedCrossEntropy,
  learning.CategoricalGeneralizedCrossEntropy,
);
export const mse = meanSquaredError;
export const mae = meanAbsoluteError;
export const mape = meanAbsolutePercentageError;
export const msle = meanSquaredLogarithmicError;

/** A loss from a name, a config, a function or an object, and back into a config. */
export const get = resolveLoss;
export const serialize = (loss: Loss): Serialized => lossFamily.serialize(loss);
