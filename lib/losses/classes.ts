import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import type { Axis } from '../ops/operands.js';
import * as rules from '../rules.js';
import * as crossentropy from './crossentropy.js';
import { Loss, type LossOptions, lossFamily } from './loss.js';
import * as regression from './regression.js';

export class MeanSquaredError extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.meanSquaredError(yTrue, yPred);
  }
}

export class MeanAbsoluteError extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.meanAbsoluteError(yTrue, yPred);
  }
}

export class MeanAbsolutePercentageError extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.meanAbsolutePercentageError(yTrue, yPred);
  }
}

export class MeanSquaredLogarithmicError extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.meanSquaredLogarithmicError(yTrue, yPred);
  }
}

export class LogCosh extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.logCosh(yTrue, yPred);
  }
}

export class KLDivergence extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.klDivergence(yTrue, yPred);
  }
}

export class Poisson extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.poisson(yTrue, yPred);
  }
}

export class Hinge extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.hinge(yTrue, yPred);
  }
}

export class SquaredHinge extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.squaredHinge(yTrue, yPred);
  }
}

export class CategoricalHinge extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.categoricalHinge(yTrue, yPred);
  }
}

export class Huber extends Loss {
  static override readonly options: OptionTable = { delta: rules.above(0) };
  readonly delta: number;

  constructor(options: LossOptions & { delta?: number } = {}) {
    super(options);
    this.delta = options.delta ?? 1;
  }

  protected override get defaultName(): string {
    return this.constructor === Huber ? 'huber_loss' : super.defaultName;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.huber(yTrue, yPred, this);
  }
}

export class CosineSimilarity extends Loss {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: Axis;

  constructor(options: LossOptions & { axis?: Axis } = {}) {
    super(options);
    this.axis = options.axis ?? -1;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.cosineSimilarity(yTrue, yPred, this);
  }
}

export class Dice extends Loss {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: Axis;

  constructor(options: LossOptions & { axis?: Axis } = {}) {
    super(options);
    this.axis = options.axis;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.dice(yTrue, yPred, this);
  }
}

export class Tversky extends Loss {
  static override readonly options: OptionTable = {
    alpha: rules.atLeast(0),
    beta: rules.atLeast(0),
    axis: rules.orList(rules.integer()),
  };
  readonly alpha: number;
  readonly beta: number;
  readonly axis: Axis;

  constructor(options: LossOptions & { alpha?: number; beta?: number; axis?: Axis } = {}) {
    super(options);
    this.alpha = options.alpha ?? 0.5;
    this.beta = options.beta ?? 0.5;
    this.axis = options.axis;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return regression.tversky(yTrue, yPred, this);
  }
}

export type CrossentropyLossOptions = LossOptions & crossentropy.CrossentropyOptions;

abstract class Crossentropy extends Loss {
  static override readonly options: OptionTable = {
    fromLogits: rules.flag,
    labelSmoothing: rules.between(0, 1),
    axis: rules.orList(rules.integer()),
  };
  readonly fromLogits: boolean;
  readonly labelSmoothing: number;
  readonly axis: number;

  constructor(options: CrossentropyLossOptions = {}) {
    super(options);
    this.fromLogits = options.fromLogits ?? false;
    this.labelSmoothing = options.labelSmoothing ?? 0;
    this.axis = options.axis ?? -1;
  }
}

/** For yes/no outputs (https://keras.io/api/losses/probabilistic_losses/). */
export class BinaryCrossentropy extends Crossentropy {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return crossentropy.binaryCrossentropy(yTrue, yPred, this);
  }
}

/** For one of several classes, one-hot targets. */
export class CategoricalCrossentropy extends Crossentropy {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return crossentropy.categoricalCrossentropy(yTrue, yPred, this);
  }
}

export type FocalLossOptions = CrossentropyLossOptions & { alpha?: number; gamma?: number };

export class BinaryFocalCrossentropy extends Crossentropy {
  static override readonly options: OptionTable = {
    applyClassBalancing: rules.flag,
    alpha: rules.between(0, 1),
    gamma: rules.atLeast(0),
  };
  readonly applyClassBalancing: boolean;
  readonly alpha: number;
  readonly gamma: number;

  constructor(options: FocalLossOptions & { applyClassBalancing?: boolean } = {}) {
    super(options);
    this.applyClassBalancing = options.applyClassBalancing ?? false;
    this.alpha = options.alpha ?? 0.25;
    this.gamma = options.gamma ?? 2;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return crossentropy.binaryFocalCrossentropy(yTrue, yPred, this);
  }
}

export class CategoricalFocalCrossentropy extends Crossentropy {
  static override readonly options: OptionTable = { alpha: rules.orList(rules.atLeast(0)), gamma: rules.atLeast(0) };
  readonly alpha: number;
  readonly gamma: number;

  constructor(options: FocalLossOptions = {}) {
    super(options);
    this.alpha = options.alpha ?? 0.25;
    this.gamma = options.gamma ?? 2;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return crossentropy.categoricalFocalCrossentropy(yTrue, yPred, this);
  }
}

export type SparseCrossentropyOptions = LossOptions & { fromLogits?: boolean; ignoreClass?: number; axis?: number };

/** For one of several classes, targets are class numbers. */
export class SparseCategoricalCrossentropy extends Loss {
  static override readonly options: OptionTable = {
    fromLogits: rules.flag,
    ignoreClass: rules.integer(),
    axis: rules.orList(rules.integer()),
  };
  readonly fromLogits: boolean;
  readonly ignoreClass: number | undefined;
  readonly axis: number;

  constructor(options: SparseCrossentropyOptions = {}) {
    super(options);
    this.fromLogits = options.fromLogits ?? false;
    this.ignoreClass = options.ignoreClass;
    this.axis = options.axis ?? -1;
  }

  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return crossentropy.sparseCategoricalCrossentropy(yTrue, yPred, this);
  }

  protected override mask(yTrue: Tensor, yPred: Tensor): Tensor | undefined {
    if (this.ignoreClass === undefined) return yPred.mask;
    const kept = crossentropy.keptClasses(yTrue, this.ignoreClass);
    return yPred.mask ? kept.mul(yPred.mask.cast('float32')) : kept;
  }
}

lossFamily.add(MeanSquaredError, 'mse').add(MeanAbsoluteError, 'mae').add(MeanAbsolutePercentageError, 'mape');
lossFamily
  .add(MeanSquaredLogarithmicError, 'msle')
  .add(Huber)
  .add(LogCosh)
  .add(CosineSimilarity)
  .add(KLDivergence, 'kld', 'kullbackLeiblerDivergence');
lossFamily
  .add(Poisson)
  .add(Hinge)
  .add(SquaredHinge)
  .add(CategoricalHinge)
  .add(BinaryCrossentropy, 'bce')
  .add(CategoricalCrossentropy);
lossFamily
  .add(SparseCategoricalCrossentropy)
  .add(BinaryFocalCrossentropy)
  .add(CategoricalFocalCrossentropy)
  .add(Dice)
  .add(Tversky);
