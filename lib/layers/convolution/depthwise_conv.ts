import type { OptionTable } from '../../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../../constraints/index.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Variable } from '../../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../../initializers/index.js';
import { depthwiseConv, separableConv } from '../../ops/conv.js';
import type { Padding } from '../../ops/window.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { ConvLayer, type ConvLayerOptions } from './conv_layer.js';

export interface DepthwiseConvOptions extends ConvLayerOptions {
  /** Filters of each input channel (default 1). */
  depthMultiplier?: number;
  /** Default 'glorotUniform'. */
  depthwiseInitializer?: InitializerSpec;
  depthwiseRegularizer?: RegularizerSpec;
  depthwiseConstraint?: ConstraintSpec;
}

/** What layers with filters for each channel share. */
abstract class PerChannel extends ConvLayer {
  static override readonly options: OptionTable = {
    depthMultiplier: rules.integer(1),
    depthwiseInitializer: 'initializer',
    depthwiseRegularizer: 'regularizer',
    depthwiseConstraint: 'constraint',
  };
  readonly depthMultiplier: number;
  readonly depthwiseInitializer: Initializer;
  readonly depthwiseRegularizer: Regularizer | undefined;
  readonly depthwiseConstraint: Constraint | undefined;

  constructor(rank: number, options: DepthwiseConvOptions) {
    super(rank, options);
    this.depthMultiplier = options.depthMultiplier ?? 1;
    this.depthwiseInitializer = resolveInitializer(options.depthwiseInitializer ?? 'glorotUniform');
    this.depthwiseRegularizer = resolveRegularizer(options.depthwiseRegularizer);
    this.depthwiseConstraint = resolveConstraint(options.depthwiseConstraint);
  }

  protected addDepthwiseKernel(name: string, channels: number): Variable {
    return this.addWeight(name, [...this.kernelSize, channels, this.depthMultiplier], {
      initializer: this.depthwiseInitializer,
      regularizer: this.depthwiseRegularizer,
      constraint: this.depthwiseConstraint,
    });
  }

  protected geometry() {
    const { strides, dilationRate, dataFormat } = this;
    return { strides, dilationRate, dataFormat, padding: this.padding as Padding };
  }
}

/** Each channel with filters of its own; the kernel is [window…, in, depthMultiplier]. */
abstract class DepthwiseConv extends PerChannel {
  kernel!: Variable;

  override build(inputShape: Shape): void {
    const channels = this.channelsOf(inputShape);
    if (channels === undefined) return;
    this.kernel = this.addDepthwiseKernel('kernel', channels);
    this.addBias(channels * this.depthMultiplier);
  }

  override call(x: Tensor): Tensor {
    return this.finish(depthwiseConv(x, this.kernel, this.geometry()));
  }
}

export class DepthwiseConv1D extends DepthwiseConv {
  constructor(options: DepthwiseConvOptions) {
    super(1, options);
  }
}

/** Depthwise convolution of images (https://keras.io/api/layers/convolution_layers/depthwise_convolution2d/). */
export class DepthwiseConv2D extends DepthwiseConv {
  constructor(options: DepthwiseConvOptions) {
    super(2, options);
  }
}

export interface SeparableConvOptions extends DepthwiseConvOptions {
  /** Channels of the output. */
  filters: number;
  /** Default 'glorotUniform'. */
  pointwiseInitializer?: InitializerSpec;
  pointwiseRegularizer?: RegularizerSpec;
  pointwiseConstraint?: ConstraintSpec;
}

/** A depthwise convolution, then a mix of its channels; kernels [window…, in, depthMultiplier] and [1…, in · depthMultiplier, filters]. */
abstract class SeparableConv extends PerChannel {
  static override readonly options: OptionTable = {
    filters: rules.required(rules.integer(1), '32'),
    pointwiseInitializer: 'initializer',
    pointwiseRegularizer: 'regularizer',
    pointwiseConstraint: 'constraint',
  };
  readonly filters: number;
  readonly pointwiseInitializer: Initializer;
  readonly pointwiseRegularizer: Regularizer | undefined;
  readonly pointwiseConstraint: Constraint | undefined;
  depthwiseKernel!: Variable;
  pointwiseKernel!: Variable;

  constructor(rank: number, options: SeparableConvOptions) {
    super(rank, options);
    this.filters = options.filters;
    this.pointwiseInitializer = resolveInitializer(options.pointwiseInitializer ?? 'glorotUniform');
    this.pointwiseRegularizer = resolveRegularizer(options.pointwiseRegularizer);
    this.pointwiseConstraint = resolveConstraint(options.pointwiseConstraint);
  }

  override build(inputShape: Shape): void {
    const channels = this.channelsOf(inputShape);
    if (channels === undefined) return;
    this.depthwiseKernel = this.addDepthwiseKernel('depthwise_kernel', channels);
    const points = Array<number>(this.rank).fill(1);
    this.pointwiseKernel = this.addWeight(
      'pointwise_kernel',
      [...points, channels * this.depthMultiplier, this.filters],
      {
        initializer: this.pointwiseInitializer,
        regularizer: this.pointwiseRegularizer,
        constraint: this.pointwiseConstraint,
      },
    );
    this.addBias(this.filters);
  }

  override call(x: Tensor): Tensor {
    return this.finish(separableConv(x, this.depthwiseKernel, this.pointwiseKernel, this.geometry()));
  }
}

export class SeparableConv1D extends SeparableConv {
  constructor(options: SeparableConvOptions) {
    super(1, options);
  }
}

/** Separable convolution of images (https://keras.io/api/layers/convolution_layers/separable_convolution2d/). */
export class SeparableConv2D extends SeparableConv {
  constructor(options: SeparableConvOptions) {
    super(2, options);
  }
}
