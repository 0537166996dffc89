import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Variable } from '../../graph/variable.js';
import { layerNormalization, rmsNormalization } from '../../ops/normalization.js';
import { normalize } from '../../ops/reduce.js';
import { reshapeDims } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import { Layer, type LayerOptions } from '../layer.js';
import { AffineNormalization, type AffineOptions } from './affine.js';

type Axes = number | readonly number[];

/** The axes in ascending order, as Keras holds them in a built layer. */
const listed = (axis: Axes): number[] => (typeof axis === 'number' ? [axis] : [...axis].sort((a, b) => a - b));

export interface LayerNormalizationOptions extends AffineOptions {
  /** The axis or axes to normalise over. Default -1. */
  axis?: Axes;
  /** Keras's deprecated variant: only divides by the standard deviation, without mean and beta. Default false. */
  rmsScaling?: boolean;
}

/** Each row to mean 0 and variance 1 over some axes (https://keras.io/api/layers/normalization_layers/layer_normalization/). */
export class LayerNormalization extends AffineNormalization {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()), rmsScaling: rules.flag };
  axis: Axes;
  readonly rmsScaling: boolean;

  constructor(options: LayerNormalizationOptions = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.rmsScaling = options.rmsScaling ?? false;
  }

  override build(inputShape: Shape): void {
    this.axis = listed(this.axis);
    const shape = this.axis.map((axis) => knownSize(this, inputShape, axis));
    this.inputSpec = { axes: Object.fromEntries(this.axis.map((axis, i) => [axis, shape[i]!])) };
    this.addAffine(shape);
  }

  override call(x: Tensor): Tensor {
    const { gamma, beta, axis, epsilon, rmsScaling } = this;
    return layerNormalization(x, { gamma, beta: rmsScaling ? undefined : beta, axis, epsilon, rmsScaling });
  }
}

export interface RMSNormalizationOptions extends LayerOptions {
  /** The axis or axes to normalise over. Default -1. */
  axis?: Axes;
  /** Default 1e-6. */
  epsilon?: number;
}

/** Divides by the root of the mean square and multiplies by a learned scale (https://keras.io/api/layers/normalization_layers/rms_normalization/). */
export class RMSNormalization extends Layer {
  static override readonly options: OptionTable = {
    axis: rules.orList(rules.integer()),
    epsilon: rules.atLeast(0),
  };
  axis: Axes;
  readonly epsilon: number;
  scale!: Variable;

  constructor(options: RMSNormalizationOptions = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.epsilon = options.epsilon ?? 1e-6;
  }

  override build(inputShape: Shape): void {
    this.axis = listed(this.axis);
    const shape = this.axis.map((axis) => knownSize(this, inputShape, axis));
    this.inputSpec = { axes: Object.fromEntries(this.axis.map((axis, i) => [axis, shape[i]!])) };
    this.scale = this.addWeight('scale', shape, { initializer: 'ones' });
  }

  override call(x: Tensor): Tensor {
    return rmsNormalization(x, { scale: this.scale, axis: this.axis, epsilon: this.epsilon });
  }
}

/** To L2 norm 1 along an axis or axes (https://keras.io/api/layers/normalization_layers/unit_normalization/). */
export class UnitNormalization extends Layer {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: Axes;

  constructor(options: LayerOptions & { axis?: Axes } = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return normalize(x, { axis: this.axis, epsilon: 1e-12 });
  }
}

export interface GroupNormalizationOptions extends AffineOptions {
  /** Groups that the features are divided into; -1: each feature is one. Default 32. */
  groups?: number;
  /** The axis of the features. Default -1. */
  axis?: number;
}

/** Each row to mean 0 and variance 1 within groups of features (https://keras.io/api/layers/normalization_layers/group_normalization/). */
export class GroupNormalization extends AffineNormalization {
  static override readonly options: OptionTable = { groups: 'value', axis: rules.integer() };
  groups: number;
  readonly axis: number;

  constructor(options: GroupNormalizationOptions = {}) {
    super(options);
    this.groups = options.groups ?? 32;
    this.axis = options.axis ?? -1;
    if (!Number.isInteger(this.groups) || (this.groups < 1 && this.groups !== -1))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `GroupNormalization: groups must be a positive integer, or -1 for one group per feature, got ${this.groups}.`,
      );
  }

  override build(inputShape: Shape): void {
    const features = knownSize(this, inputShape, this.axis);
    if (this.groups === -1) this.groups = features;
    if (features % this.groups !== 0)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (GroupNormalization): ${features} features do not divide into ${this.groups} groups.`,
        { details: { layer: this.name } },
      );
    this.inputSpec = { rank: inputShape.length, axes: { [this.axis]: features } };
    this.addAffine([features]);
  }

  override call(x: Tensor): Tensor {
    const at = this.axis < 0 ? this.axis + x.rank : this.axis;
    const size = x.dims[at]! / this.groups;
    const grouped = reshapeDims(x, [...x.dims.slice(0, at), this.groups, size, ...x.dims.slice(at + 1)]);
    const axis = grouped.dims.map((_, i) => i).filter((i) => i > 0 && i !== at);
    const weight = (variable: Variable | undefined): Tensor | undefined =>
      variable &&
      reshapeDims(
        variable.read(),
        grouped.dims.map((dim, i) => (i === at || i === at + 1 ? dim : 1)),
      );
    const { epsilon } = this;
    const result = layerNormalization(grouped, { gamma: weight(this.gamma), beta: weight(this.beta), axis, epsilon });
    return reshapeDims(result, x.dims);
  }
}
