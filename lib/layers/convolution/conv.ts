import type { OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import { conv2d, type Padding } from '../ops/nn.js';
import { integerOption, KernelLayer, type KernelOptions, knownSize } from './kernel_layer.js';

export type Size2D = number | readonly [number, number];

export interface Conv2DOptions extends KernelOptions {
  /** Channels of the output. */
  filters: number;
  /** Height and width of the window. */
  kernelSize: Size2D;
  /** Default 1. */
  strides?: Size2D;
  /** Default 'valid'. */
  padding?: Padding;
  /** Only images as [height, width, channels]. */
  dataFormat?: 'channelsLast' | 'channels_last';
  /** Default 1. */
  dilationRate?: Size2D;
  /** Default 1. */
  groups?: number;
}

/** Convolution of images [N, height, width, channels] (https://keras.io/api/layers/convolution_layers/convolution2d/). */
export class Conv2D extends KernelLayer {
  static override readonly options: OptionTable = {
    filters: 'value',
    kernelSize: 'value',
    strides: 'value',
    padding: 'value',
    dataFormat: 'value',
    dilationRate: 'value',
    groups: 'value',
  };
  readonly filters: number;
  readonly kernelSize: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly padding: Padding;
  readonly dataFormat = 'channels_last';
  readonly dilationRate: readonly [number, number];
  readonly groups: number;

  constructor(options: Conv2DOptions) {
    super(options);
    this.filters = integerOption('Conv2D', 'filters', options.filters);
    this.kernelSize = sizes('Conv2D', 'kernelSize', options.kernelSize);
    this.strides = sizes('Conv2D', 'strides', options.strides ?? 1);
    this.padding = paddingOption('Conv2D', options.padding);
    this.dilationRate = sizes('Conv2D', 'dilationRate', options.dilationRate ?? 1);
    this.groups = integerOption('Conv2D', 'groups', options.groups ?? 1);
    channelsLast('Conv2D', options.dataFormat);
    const bad =
      this.filters % this.groups !== 0 && `filters (${this.filters}) must be a multiple of groups (${this.groups})`;
    const both =
      Math.max(...this.strides) > 1 &&
      Math.max(...this.dilationRate) > 1 &&
      'strides > 1 and dilationRate > 1 cannot be combined';
    if (bad || both) throw new ChainruleError('ERR_CHAINRULE_OPTION', `Conv2D: ${bad || both}.`);
    this.inputSpec = { rank: 4 };
  }

  override build(inputShape: Shape): void {
    if (inputShape.length !== 4) return; // the check of the input says it better
    const channels = knownSize(this, inputShape, -1);
    if (channels % this.groups !== 0) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (Conv2D): ${channels} input channels do not divide into ${this.groups} groups.`,
      );
    }
    this.inputSpec = { rank: 4, axes: { [-1]: channels } };
    this.addKernel([...this.kernelSize, channels / this.groups, this.filters], this.filters);
  }

  override call(x: Tensor): Tensor {
    return this.finish(conv2d(x, this.kernel, this));
  }
}

/** A number for both axes, or [height, width]. */
export function sizes(where: string, name: string, value: Size2D): readonly [number, number] {
  const both = typeof value === 'number' ? [value, value] : value;
  if (both?.length === 2) return [integerOption(where, name, both[0]), integerOption(where, name, both[1])];
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: ${name} must be an integer or two of them, got ${JSON.stringify(value)}.`,
  );
}

export function paddingOption(where: string, value: Padding | undefined): Padding {
  if (value === undefined || value === 'valid' || value === 'same') return value ?? 'valid';
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: padding must be "valid" or "same", got "${String(value)}".`,
  );
}

export function channelsLast(where: string, value: string | undefined): void {
  if (value === undefined || value === 'channelsLast' || value === 'channels_last') return;
  throw new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `${where}: dataFormat "${value}" is not supported; images are [height, width, channels].`,
  );
}
