import type { OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import { adaptiveAveragePool, adaptiveMaxPool } from '../../ops/pool.js';
import type { DataFormat, Size } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions } from '../layer.js';
import { dataFormatOption, sizes } from '../spatial.js';

export interface AdaptivePoolingOptions extends LayerOptions {
  /** How many windows each spatial axis is divided into; one number means all of them. */
  outputSize: Size;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

abstract class AdaptivePooling extends Layer {
  static override readonly options: OptionTable = {
    outputSize: rules.required(rules.anything, '4'),
    dataFormat: 'value',
  };
  readonly outputSize: readonly number[];
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(rank: number, options: AdaptivePoolingOptions) {
    super(options);
    this.outputSize = sizes(this.className, 'outputSize', options.outputSize, rank);
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
    this.inputSpec = { rank: rank + 2 };
  }
}

/** Means of windows that divide the axes into a given number of parts. */
abstract class AdaptiveAveragePooling extends AdaptivePooling {
  override call(x: Tensor): Tensor {
    return adaptiveAveragePool(x, this.outputSize, this);
  }
}

/** The largest elements of such windows. */
abstract class AdaptiveMaxPooling extends AdaptivePooling {
  override call(x: Tensor): Tensor {
    return adaptiveMaxPool(x, this.outputSize, this);
  }
}

export class AdaptiveAveragePooling1D extends AdaptiveAveragePooling {
  constructor(options: AdaptivePoolingOptions) {
    super(1, options);
  }
}

export class AdaptiveAveragePooling2D extends AdaptiveAveragePooling {
  constructor(options: AdaptivePoolingOptions) {
    super(2, options);
  }
}

export class AdaptiveAveragePooling3D extends AdaptiveAveragePooling {
  constructor(options: AdaptivePoolingOptions) {
    super(3, options);
  }
}

export class AdaptiveMaxPooling1D extends AdaptiveMaxPooling {
  constructor(options: AdaptivePoolingOptions) {
    super(1, options);
  }
}

export class AdaptiveMaxPooling2D extends AdaptiveMaxPooling {
  constructor(options: AdaptivePoolingOptions) {
    super(2, options);
  }
}

export class AdaptiveMaxPooling3D extends AdaptiveMaxPooling {
  constructor(options: AdaptivePoolingOptions) {
    super(3, options);
  }
}
