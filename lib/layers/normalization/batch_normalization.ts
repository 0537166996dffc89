import type { OptionTable } from '../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../constraints/index.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import type { Variable } from '../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../initializers/index.js';
import { add, divide, multiply, rsqrt, square, subtract } from '../ops/math.js';
import { moments, sum } from '../ops/reduce.js';
import { onesLike, reshapeDims } from '../ops/shape.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../regularizers/index.js';
import { knownSize } from './kernel_layer.js';
import { type CallContext, Layer, type LayerOptions } from './layer.js';

export interface BatchNormalizationOptions extends LayerOptions {
  /** The axis of the features. Default -1. */
  axis?: number;
  /** Of the moving statistics: moving · momentum + batch · (1 − momentum). Default 0.99. */
  momentum?: number;
  /** Added to the variance. Default 1e-3. */
  epsilon?: number;
  center?: boolean;
  scale?: boolean;
  betaInitializer?: InitializerSpec;
  gammaInitializer?: InitializerSpec;
  movingMeanInitializer?: InitializerSpec;
  movingVarianceInitializer?: InitializerSpec;
  betaRegularizer?: RegularizerSpec;
  gammaRegularizer?: RegularizerSpec;
  betaConstraint?: ConstraintSpec;
  gammaConstraint?: ConstraintSpec;
}

/**
 * Normalises features by the batch (in training) or by moving statistics; trainable = false means inference mode
 * (https://keras.io/api/layers/normalization_layers/batch_normalization/).
 */
export class BatchNormalization extends Layer {
  static override readonly options: OptionTable = {
    axis: 'value',
    momentum: 'value',
    epsilon: 'value',
    center: 'value',
    scale: 'value',
    betaInitializer: 'initializer',
    gammaInitializer: 'initializer',
    movingMeanInitializer: 'initializer',
    movingVarianceInitializer: 'initializer',
    betaRegularizer: 'regularizer',
    gammaRegularizer: 'regularizer',
    betaConstraint: 'constraint',
    gammaConstraint: 'constraint',
  };
  readonly axis: number;
  readonly momentum: number;
  readonly epsilon: number;
  readonly center: boolean;
  readonly scale: boolean;
  readonly betaInitializer: Initializer;
  readonly gammaInitializer: Initializer;
  readonly movingMeanInitializer: Initializer;
  readonly movingVarianceInitializer: Initializer;
  readonly betaRegularizer: Regularizer | undefined;
  readonly gammaRegularizer: Regularizer | undefined;
  readonly betaConstraint: Constraint | undefined;
  readonly gammaConstraint: Constraint | undefined;
  gamma: Variable | undefined;
  beta: Variable | undefined;
  movingMean!: Variable;
  movingVariance!: Variable;

  constructor(options: BatchNormalizationOptions = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.momentum = options.momentum ?? 0.99;
    this.epsilon = options.epsilon ?? 1e-3;
    this.center = options.center ?? true;
    this.scale = options.scale ?? true;
    this.betaInitializer = resolveInitializer(options.betaInitializer ?? 'zeros');
    this.gammaInitializer = resolveInitializer(options.gammaInitializer ?? 'ones');
    this.movingMeanInitializer = resolveInitializer(options.movingMeanInitializer ?? 'zeros');
    this.movingVarianceInitializer = resolveInitializer(options.movingVarianceInitializer ?? 'ones');
    this.betaRegularizer = resolveRegularizer(options.betaRegularizer);
    this.gammaRegularizer = resolveRegularizer(options.gammaRegularizer);
    this.betaConstraint = resolveConstraint(options.betaConstraint);
    this.gammaConstraint = resolveConstraint(options.gammaConstraint);
    this.supportsMasking = true;
  }

  override build(inputShape: Shape): void {
    const shape = [knownSize(this, inputShape, this.axis)];
    this.inputSpec = { axes: { [this.axis]: shape[0]! } };
    if (this.scale) {
      this.gamma = this.addWeight('gamma', shape, {
        initializer: this.gammaInitializer,
        regularizer: this.gammaRegularizer,
        constraint: this.gammaConstraint,
      });
    }
    if (this.center) {
      this.beta = this.addWeight('beta', shape, {
        initializer: this.betaInitializer,
        regularizer: this.betaRegularizer,
        constraint: this.betaConstraint,
      });
    }
    this.movingMean = this.addWeight('moving_mean', shape, {
      initializer: this.movingMeanInitializer,
      trainable: false,
    });
    this.movingVariance = this.addWeight('moving_variance', shape, {
      initializer: this.movingVarianceInitializer,
      trainable: false,
    });
  }

  override call(x: Tensor, { training, mask }: CallContext): Tensor {
    const features = this.axis < 0 ? this.axis + x.rank : this.axis;
    const over = x.dims.map((_, i) => i).filter((i) => i !== features);
    const wide = (value: Tensor): Tensor =>
      features === x.rank - 1
        ? value
        : reshapeDims(
            value,
            x.dims.map((dim, i) => (i === features ? dim : 1)),
          );
    let mean = this.movingMean.read();
    let variance = this.movingVariance.read();
    if (training && this.trainable) {
      const batch = mask ? this.maskedMoments(x, mask, over) : moments(x, { axis: over });
      this.movingMean.assign(this.blend(mean, batch.mean));
      this.movingVariance.assign(this.blend(variance, batch.variance));
      ({ mean, variance } = batch);
    }
    let factor = rsqrt(add(variance, this.epsilon));
    if (this.gamma) factor = multiply(factor, this.gamma);
    const normalised = multiply(subtract(x, wide(mean)), wide(factor));
    return this.beta ? add(normalised, wide(this.beta.read())) : normalised;
  }

  private blend(moving: Tensor, batch: Tensor): Tensor {
    return add(multiply(moving, this.momentum), multiply(batch, 1 - this.momentum));
  }

  /** Moments over the unmasked steps, as Keras: the small number in the divisor is the layer's epsilon. */
  private maskedMoments(x: Tensor, mask: Tensor, over: number[]): { mean: Tensor; variance: Tensor } {
    const weights = reshapeDims(mask.cast('float32'), [...mask.dims, ...x.dims.slice(mask.rank).map(() => 1)]);
    const ones = multiply(weights, onesLike(x));
    const count = add(sum(ones, { axis: over, keepdims: true }), this.epsilon);
    const mean = divide(sum(multiply(x, weights), { axis: over, keepdims: true }), count);
    const squares = sum(multiply(square(subtract(x, mean)), weights), { axis: over, keepdims: true });
    const variance = divide(squares, count);
    const flat = (value: Tensor): Tensor =>
      reshapeDims(value, [x.dims[this.axis < 0 ? this.axis + x.rank : this.axis]!]);
    return { mean: flat(mean), variance: flat(variance) };
  }
}
