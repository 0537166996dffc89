import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { stopGradient } from '../../graph/grad.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Variable } from '../../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../../initializers/index.js';
import { add, divide, maximum, minimum, multiply, sqrt, square, subtract, where } from '../../ops/math.js';
import { relu } from '../../ops/nn.js';
import { batchNormalization } from '../../ops/normalization.js';
import { moments, sum } from '../../ops/reduce.js';
import { expandDims, onesLike, reshapeDims } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import type { CallContext } from '../layer.js';
import { AffineNormalization, type AffineOptions } from './affine.js';

/** Limits of batch renormalization's corrections; absent ones don't limit. */
export interface RenormClipping {
  rmin?: number;
  rmax?: number;
  dmax?: number;
}

export interface BatchNormalizationOptions extends AffineOptions {
  /** The axis of the features. Default -1. */
  axis?: number;
  /** Of the moving statistics: moving · momentum + batch · (1 − momentum). Default 0.99. */
  momentum?: number;
  movingMeanInitializer?: InitializerSpec;
  movingVarianceInitializer?: InitializerSpec;
  /** Batch renormalization (Ioffe, 2017): training corrects the batch's moments towards slower moving ones. Default false. */
  renorm?: boolean;
  renormClipping?: RenormClipping;
  /** Of the slower moments. Default 0.99. */
  renormMomentum?: number;
  /** Moments over several devices; here there is one. */
  synchronized?: boolean;
}

interface Moments {
  mean: Tensor;
  variance: Tensor;
}

/**
 * Normalises features by the batch (in training) or by moving statistics; trainable = false means inference mode
 * (https://keras.io/api/layers/normalization_layers/batch_normalization/).
 */
export class BatchNormalization extends AffineNormalization {
  static override readonly options: OptionTable = {
    axis: rules.integer(),
    momentum: rules.between(0, 1),
    movingMeanInitializer: 'initializer',
    movingVarianceInitializer: 'initializer',
    renorm: rules.flag,
    renormClipping: 'value',
    renormMomentum: rules.between(0, 1),
    synchronized: rules.flag,
  };
  readonly axis: number;
  readonly momentum: number;
  readonly movingMeanInitializer: Initializer;
  readonly movingVarianceInitializer: Initializer;
  readonly renorm: boolean;
  readonly renormClipping: RenormClipping | undefined;
  readonly renormMomentum: number;
  readonly synchronized: boolean;
  movingMean!: Variable;
  movingVariance!: Variable;
  movingStddev: Variable | undefined;
  renormMean: Variable | undefined;
  renormStddev: Variable | undefined;

  constructor(options: BatchNormalizationOptions = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.momentum = options.momentum ?? 0.99;
    this.movingMeanInitializer = resolveInitializer(options.movingMeanInitializer ?? 'zeros');
    this.movingVarianceInitializer = resolveInitializer(options.movingVarianceInitializer ?? 'ones');
    this.renorm = options.renorm ?? false;
    this.renormClipping = options.renormClipping ?? (this.renorm ? {} : undefined);
    this.renormMomentum = options.renormMomentum ?? 0.99;
    this.synchronized = options.synchronized ?? false;
    const { rmin, rmax, dmax } = this.renormClipping ?? {};
    if ((rmin !== undefined && rmax !== undefined && rmax < rmin) || (dmax !== undefined && dmax < 0)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `BatchNormalization: renormClipping needs rmin <= rmax and dmax >= 0, got ${JSON.stringify(this.renormClipping)}.`,
      );
    }
  }

  override build(inputShape: Shape): void {
    const shape = [knownSize(this, inputShape, this.axis)];
    this.inputSpec = { rank: inputShape.length, axes: { [this.axis]: shape[0]! } };
    this.addAffine(shape);
    const moving = (name: string, initializer: InitializerSpec): Variable =>
      this.addWeight(name, shape, { initializer, trainable: false, autocast: false });
    this.movingMean = moving('moving_mean', this.movingMeanInitializer);
    this.movingVariance = moving('moving_variance', this.movingVarianceInitializer);
    if (!this.renorm) return;
    const deviation: InitializerSpec = (size, dtype) => sqrt(this.movingVarianceInitializer.call(size, dtype));
    this.movingStddev = moving('moving_stddev', deviation);
    this.renormMean = moving('renorm_mean', this.movingMeanInitializer);
    this.renormStddev = moving('renorm_stddev', deviation);
  }

  override call(x: Tensor, { training, mask }: CallContext): Tensor {
    const features = this.axis < 0 ? this.axis + x.rank : this.axis;
    const over = x.dims.map((_, i) => i).filter((i) => i !== features);
    let { gamma, beta }: { gamma?: Tensor; beta?: Tensor } = { gamma: this.gamma?.read(), beta: this.beta?.read() };
    let used: Moments = { mean: this.movingMean.read(), variance: this.movingVariance.read() };
    if (training && this.trainable) {
      const batch = mask ? maskedMoments(x, mask, over, features) : moments(x, { axis: over });
      if (this.renorm) ({ gamma, beta } = this.renormalised(batch, gamma, beta));
      else {
        this.movingMean.assign(blend(used.mean, batch.mean, this.momentum));
        this.movingVariance.assign(blend(used.variance, batch.variance, this.momentum));
      }
      used = batch;
    }
    const { epsilon } = this;
    return batchNormalization(x, used.mean, used.variance, features, { offset: beta, scale: gamma, epsilon });
  }

  /** (x·r + d)·gamma + beta as one factor and offset; moves the slow and the moving moments on. */
  private renormalised({ mean, variance }: Moments, gamma?: Tensor, beta?: Tensor): { gamma: Tensor; beta: Tensor } {
    const deviation = sqrt(add(variance, this.epsilon));
    const [slowMean, slowDeviation] = [this.renormMean!.read(), this.renormStddev!.read()];
    const unit = maximum(slowDeviation, Math.sqrt(this.epsilon));
    const { rmin, rmax, dmax } = this.renormClipping!;
    let [r, d] = [divide(deviation, unit), divide(subtract(mean, slowMean), unit)];
    if (rmin !== undefined) r = maximum(r, rmin);
    if (rmax !== undefined) r = minimum(r, rmax);
    if (dmax !== undefined) d = minimum(maximum(d, -dmax), dmax);
    [r, d] = [stopGradient(r), stopGradient(d)];
    if (gamma) [r, d] = [multiply(r, gamma), multiply(d, gamma)];

    this.renormMean!.assign(blend(slowMean, mean, this.renormMomentum));
    this.renormStddev!.assign(blend(slowDeviation, deviation, this.renormMomentum));
    this.movingMean.assign(blend(this.movingMean.read(), mean, this.momentum));
    const moved = blend(this.movingStddev!.read(), deviation, this.momentum);
    this.movingStddev!.assign(moved);
    this.movingVariance.assign(relu(subtract(square(moved), this.epsilon)));
    return { gamma: r, beta: beta ? add(d, beta) : d };
  }
}

function blend(moving: Tensor, batch: Tensor, momentum: number): Tensor {
  return add(multiply(moving, momentum), multiply(batch, 1 - momentum));
}

/** Moments over the unmasked steps, as Keras: 1e-7 in the divisor. */
function maskedMoments(x: Tensor, mask: Tensor, over: number[], features: number): Moments {
  const kept = multiply(expandDims(mask.cast('float32'), -1), onesLike(x)).cast('bool');
  const count = add(sum(kept.cast('float32'), { axis: over, keepdims: true }), 1e-7);
  const mean = divide(sum(where(kept, x, 0), { axis: over, keepdims: true }), count);
  const squares = sum(square(where(kept, subtract(x, mean), 0)), { axis: over, keepdims: true });
  const flat = (value: Tensor): Tensor => reshapeDims(value, [x.dims[features]!]);
  return { mean: flat(mean), variance: flat(divide(squares, count)) };
}
