import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { averagePool2d, maxPool2d, type Padding } from '../ops/nn.js';
import { max, mean, weightedMean } from '../ops/reduce.js';
import { expandDims } from '../ops/shape.js';
import { channelsLast, paddingOption, type Size2D, sizes } from './conv.js';
import { type CallContext, Layer, type LayerOptions } from './layer.js';

export interface Pooling2DOptions extends LayerOptions {
  /** Default 2. */
  poolSize?: Size2D;
  /** The pool size when absent. */
  strides?: Size2D;
  /** Default 'valid'. */
  padding?: Padding;
  dataFormat?: 'channelsLast' | 'channels_last';
}

abstract class Pooling2D extends Layer {
  static override readonly options: OptionTable = {
    poolSize: 'value',
    strides: 'value',
    padding: 'value',
    dataFormat: 'value',
  };
  readonly poolSize: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly padding: Padding;
  readonly dataFormat = 'channels_last';

  constructor(options: Pooling2DOptions = {}) {
    super(options);
    this.poolSize = sizes(this.className, 'poolSize', options.poolSize ?? 2);
    this.strides = sizes(this.className, 'strides', options.strides ?? this.poolSize);
    this.padding = paddingOption(this.className, options.padding);
    channelsLast(this.className, options.dataFormat);
    this.inputSpec = { rank: 4 };
  }
}

/** The largest element of each window (https://keras.io/api/layers/pooling_layers/max_pooling2d/). */
export class MaxPooling2D extends Pooling2D {
  override call(x: Tensor): Tensor {
    return maxPool2d(x, this.poolSize, this);
  }
}

/** The mean of each window; padding is not counted (https://keras.io/api/layers/pooling_layers/average_pooling2d/). */
export class AveragePooling2D extends Pooling2D {
  override call(x: Tensor): Tensor {
    return averagePool2d(x, this.poolSize, this);
  }
}

export interface GlobalPoolingOptions extends LayerOptions {
  /** Keep the reduced axes with size 1 (default false). */
  keepdims?: boolean;
  dataFormat?: 'channelsLast' | 'channels_last';
}

abstract class GlobalPooling extends Layer {
  static override readonly options: OptionTable = { dataFormat: 'value', keepdims: 'value' };
  readonly keepdims: boolean;
  readonly dataFormat = 'channels_last';

  constructor(
    readonly axis: readonly number[],
    options: GlobalPoolingOptions = {},
  ) {
    super(options);
    this.keepdims = options.keepdims ?? false;
    channelsLast(this.className, options.dataFormat);
    this.inputSpec = { rank: axis.length + 2 };
  }
}

/** Means over the steps of [N, steps, features]; masked steps don't count. */
export class GlobalAveragePooling1D extends GlobalPooling {
  constructor(options?: GlobalPoolingOptions) {
    super([1], options);
  }

  override call(x: Tensor, { mask }: CallContext): Tensor {
    return mask ? weightedMean(x, expandDims(mask.cast('float32'), -1), this) : mean(x, this);
  }

  override computeMask(): undefined {
    return undefined;
  }
}

/** Means over height and width. */
export class GlobalAveragePooling2D extends GlobalPooling {
  constructor(options?: GlobalPoolingOptions) {
    super([1, 2], options);
  }

  override call(x: Tensor): Tensor {
    return mean(x, this);
  }
}

export class GlobalMaxPooling1D extends GlobalPooling {
  constructor(options?: GlobalPoolingOptions) {
    super([1], options);
  }

  override call(x: Tensor): Tensor {
    return max(x, this);
  }
}

export class GlobalMaxPooling2D extends GlobalPooling {
  constructor(options?: GlobalPoolingOptions) {
    super([1, 2], options);
  }

  override call(x: Tensor): Tensor {
    return max(x, this);
  }
}
