import type { OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import { averagePool, maxPool } from '../../ops/pool.js';
import type { DataFormat, Padding, Size } from '../../ops/window.js';
import { Layer, type LayerOptions } from '../layer.js';
import { dataFormatOption, paddingOption, sizes } from '../spatial.js';

export interface PoolingOptions extends LayerOptions {
  /** Sizes of the window along the spatial axes; one number means all of them. Default 2. */
  poolSize?: Size;
  /** The pool size when absent. */
  strides?: Size;
  /** Default 'valid'. */
  padding?: Padding;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

abstract class Pooling extends Layer {
  static override readonly options: OptionTable = {
    poolSize: 'value',
    strides: 'value',
    padding: 'value',
    dataFormat: 'value',
  };
  readonly poolSize: readonly number[];
  readonly strides: readonly number[];
  readonly padding: Padding;
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(rank: number, options: PoolingOptions = {}) {
    super(options);
    this.poolSize = sizes(this.className, 'poolSize', options.poolSize ?? 2, rank);
    this.strides = sizes(this.className, 'strides', options.strides ?? this.poolSize, rank);
    this.padding = paddingOption(this.className, options.padding);
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
    this.inputSpec = { rank: rank + 2 };
  }
}

/** The largest element of each window. */
abstract class MaxPooling extends Pooling {
  override call(x: Tensor): Tensor {
    return maxPool(x, this.poolSize, this);
  }
}

/** The mean of each window; padding is not counted. */
abstract class AveragePooling extends Pooling {
  override call(x: Tensor): Tensor {
    return averagePool(x, this.poolSize, this);
  }
}

export class MaxPooling1D extends MaxPooling {
  constructor(options?: PoolingOptions) {
    super(1, options);
  }
}

/** The largest element of each window of an image (https://keras.io/api/layers/pooling_layers/max_pooling2d/). */
export class MaxPooling2D extends MaxPooling {
  constructor(options?: PoolingOptions) {
    super(2, options);
  }
}

export class MaxPooling3D extends MaxPooling {
  constructor(options?: PoolingOptions) {
    super(3, options);
  }
}

export class AveragePooling1D extends AveragePooling {
  constructor(options?: PoolingOptions) {
    super(1, options);
  }
}

/** The mean of each window of an image; padding is not counted (https://keras.io/api/layers/pooling_layers/average_pooling2d/). */
export class AveragePooling2D extends AveragePooling {
  constructor(options?: PoolingOptions) {
    super(2, options);
  }
}

export class AveragePooling3D extends AveragePooling {
  constructor(options?: PoolingOptions) {
    super(3, options);
  }
}
