import type { OptionTable } from '../../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../../constraints/index.js';
import { ChainruleError } from '../../errors.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Variable } from '../../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../../initializers/index.js';
import { conv, convInt8, convTranspose } from '../../ops/conv.js';
import type { Margins, Padding, Size } from '../../ops/window.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { addInt8, type Int8Weight, maxInt8Rows } from '../quantization.js';
import { sizes } from '../spatial.js';
import { ConvLayer, type ConvLayerOptions } from './conv_layer.js';

interface FilterOptions extends ConvLayerOptions {
  /** Channels of the output. */
  filters: number;
  /** Default 'glorotUniform'. */
  kernelInitializer?: InitializerSpec;
  kernelRegularizer?: RegularizerSpec;
  kernelConstraint?: ConstraintSpec;
}

/** Convolutions with one kernel. */
abstract class Filters extends ConvLayer {
  static override readonly options: OptionTable = {
    filters: rules.required(rules.integer(1), '32'),
    kernelInitializer: 'initializer',
    kernelRegularizer: 'regularizer',
    kernelConstraint: 'constraint',
  };
  readonly filters: number;
  readonly kernelInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | undefined;
  readonly kernelConstraint: Constraint | undefined;
  kernel!: Variable;
  /** Of a kernel stored as int8: what each filter is to be divided by. */
  kernelScale: Variable | undefined;

  constructor(rank: number, options: FilterOptions, paddings?: readonly (Padding | 'causal')[]) {
    super(rank, options, paddings);
    this.filters = options.filters;
    this.kernelInitializer = resolveInitializer(options.kernelInitializer ?? 'glorotUniform');
    this.kernelRegularizer = resolveRegularizer(options.kernelRegularizer);
    this.kernelConstraint = resolveConstraint(options.kernelConstraint);
    this.refuseDilatedStrides();
  }

  protected kernelForm(_shape: readonly number[]): Int8Weight | undefined {
    return undefined;
  }

  override get int8Weight(): Int8Weight | undefined {
    return this.storesInt8 ? this.kernelForm(this.kernel.shape) : undefined;
  }

  override get bfloat16Properties(): readonly string[] {
    return ['kernel'];
  }

  protected addKernel(shape: readonly number[]): void {
    if (this.quantization === 'int8') {
      const { values, scale } = addInt8(this, 'kernel', shape, this.kernelForm(shape));
      this.kernel = values;
      this.kernelScale = scale;
    } else {
      this.kernel = this.addWeight('kernel', shape, {
        initializer: this.kernelInitializer,
        regularizer: this.kernelRegularizer,
        constraint: this.kernelConstraint,
      });
    }
    this.addBias(this.filters);
  }
}

export interface ConvOptions extends FilterOptions {
  /** Default 1. */
  groups?: number;
}

/** Convolution; the kernel is [window…, in / groups, filters]. */
abstract class Conv extends Filters {
  static override readonly options: OptionTable = { groups: rules.integer(1) };
  readonly groups: number;

  constructor(rank: number, options: ConvOptions, paddings?: readonly (Padding | 'causal')[]) {
    super(rank, options, paddings);
    this.groups = options.groups ?? 1;
    if (this.filters % this.groups !== 0)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${this.className}: filters (${this.filters}) must be a multiple of groups (${this.groups}).`,
      );
  }

  override build(inputShape: Shape): void {
    const channels = this.channelsOf(inputShape);
    if (channels === undefined) return;
    if (channels % this.groups !== 0) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (${this.className}): ${channels} input channels do not divide into ${this.groups} groups.`,
      );
    }
    this.addKernel([...this.kernelSize, channels / this.groups, this.filters]);
  }

  override call(x: Tensor): Tensor {
    const options = { ...this.window(), dataFormat: this.dataFormat };
    return this.finish(
      this.kernelScale
        ? convInt8(x, this.kernel, this.kernelScale, this.kernelSize, options)
        : conv(x, this.kernel, { ...options, groups: this.groups }),
    );
  }

  private window(): { strides: Size; dilationRate: Size; padding: Padding | Margins } {
    const { strides, dilationRate, padding, kernelSize } = this;
    // Causal: a step sees itself and what was before.
    const before = dilationRate[0]! * (kernelSize[0]! - 1);
    return { strides, dilationRate, padding: padding === 'causal' ? [[before, 0]] : padding };
  }
}

/** Convolution over [N, steps, channels] (https://keras.io/api/layers/convolution_layers/convolution1d/). */
export class Conv1D extends Conv {
  constructor(options: ConvOptions) {
    super(1, options, ['valid', 'same', 'causal']);
  }
}

/** Convolution of images [N, height, width, channels] (https://keras.io/api/layers/convolution_layers/convolution2d/). */
export class Conv2D extends Conv {
  static override readonly int8 = true;

  constructor(options: ConvOptions) {
    super(2, options);
  }

  /** Of windows of few numbers the layout costs more than the product saves. */
  protected override kernelForm(shape: readonly number[]): Int8Weight | undefined {
    const rows = shape.slice(0, 3).reduce((a, b) => a * b, 1);
    if (this.groups > 1 || rows < 32 || rows > maxInt8Rows) return undefined;
    const matrix = [rows, this.filters] as const;
    return { weight: 'kernel', scale: 'kernelScale', matrix, scales: 'columns', onlyHere: true };
  }
}

/** Convolution of volumes [N, depth, height, width, channels] (https://keras.io/api/layers/convolution_layers/convolution3d/). */
export class Conv3D extends Conv {
  constructor(options: ConvOptions) {
    super(3, options);
  }
}

export interface ConvTransposeOptions extends FilterOptions {
  /** How much longer than the shortest the output is along each axis; less than the stride. By default in · stride (or all that valid gives). */
  outputPadding?: Size;
}

/** Transposed convolution, from few places to many; the kernel is [window…, filters, in]. */
abstract class ConvTranspose extends Filters {
  static override readonly options: OptionTable = { outputPadding: 'value' };
  readonly outputPadding: readonly number[] | undefined;

  constructor(rank: number, options: ConvTransposeOptions) {
    super(rank, options);
    const { outputPadding } = options;
    if (outputPadding === undefined) return;
    this.outputPadding = sizes(this.className, 'outputPadding', outputPadding, rank, 0);
    if (this.outputPadding.some((extra, i) => extra >= this.strides[i]!))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${this.className}: outputPadding [${this.outputPadding}] must be less than strides [${this.strides}].`,
      );
  }

  override build(inputShape: Shape): void {
    const channels = this.channelsOf(inputShape);
    if (channels !== undefined) this.addKernel([...this.kernelSize, this.filters, channels]);
  }

  override call(x: Tensor): Tensor {
    const { strides, outputPadding, dilationRate, dataFormat } = this;
    const padding = this.padding as Padding;
    return this.finish(convTranspose(x, this.kernel, { strides, padding, outputPadding, dilationRate, dataFormat }));
  }
}

export class Conv1DTranspose extends ConvTranspose {
  constructor(options: ConvTransposeOptions) {
    super(1, options);
  }
}

/** Transposed convolution of images (https://keras.io/api/layers/convolution_layers/convolution2d_transpose/). */
export class Conv2DTranspose extends ConvTranspose {
  constructor(options: ConvTransposeOptions) {
    super(2, options);
  }
}

export class Conv3DTranspose extends ConvTranspose {
  constructor(options: ConvTransposeOptions) {
    super(3, options);
  }
}
