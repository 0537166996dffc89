import type { OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import { type Interpolation, resize } from '../../ops/image.js';
import { repeat } from '../../ops/shape.js';
import { type DataFormat, inChannelsLast, type Size } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions } from '../layer.js';
import { choice, dataFormatOption, sizes } from '../spatial.js';

/** Repeats a row n times: [N, features] → [N, n, features] (https://keras.io/api/layers/reshaping_layers/repeat_vector/). */
export class RepeatVector extends Layer {
  static override readonly options: OptionTable = { n: rules.required(rules.integer(1), '3') };
  readonly n: number;

  constructor(options: LayerOptions & { n: number }) {
    super(options);
    this.n = options.n;
    this.inputSpec = { rank: 2 };
  }

  override call(x: Tensor): Tensor {
    const [rows, features] = x.dims as [number, number];
    return repeat(x.reshape([rows < 0 ? null : rows, 1, features]), this.n, 1);
  }
}

/** Repeats each step `size` times (https://keras.io/api/layers/reshaping_layers/up_sampling1d/). */
export class UpSampling1D extends Layer {
  static override readonly options: OptionTable = { size: rules.integer(1) };
  readonly size: number;

  constructor(options: LayerOptions & { size?: number } = {}) {
    super(options);
    this.size = options.size ?? 2;
    this.inputSpec = { rank: 3 };
  }

  override call(x: Tensor): Tensor {
    return repeat(x, this.size, 1);
  }
}

export interface UpSampling2DOptions extends LayerOptions {
  /** Factors of height and width. Default 2. */
  size?: Size;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
  /** Default 'nearest'. */
  interpolation?: Interpolation;
}

/** Enlarges images by whole factors (https://keras.io/api/layers/reshaping_layers/up_sampling2d/). */
export class UpSampling2D extends Layer {
  static override readonly options: OptionTable = { size: 'value', dataFormat: 'value', interpolation: 'value' };
  readonly size: readonly number[];
  readonly dataFormat: 'channels_last' | 'channels_first';
  readonly interpolation: Interpolation;

  constructor(options: UpSampling2DOptions = {}) {
    super(options);
    this.size = sizes('UpSampling2D', 'size', options.size ?? 2, 2);
    this.dataFormat = dataFormatOption('UpSampling2D', options.dataFormat);
    this.interpolation = choice('UpSampling2D', 'interpolation', options.interpolation, [
      'nearest',
      'bilinear',
      'bicubic',
      'lanczos3',
      'lanczos5',
    ]);
    this.inputSpec = { rank: 4 };
  }

  override call(x: Tensor): Tensor {
    const [rows, columns] = this.size as [number, number];
    return inChannelsLast(x, this.dataFormat, (image) => {
      const { interpolation } = this;
      if (interpolation === 'nearest') return repeat(repeat(image, rows, 1), columns, 2);
      return resize(image, [image.dims[1]! * rows, image.dims[2]! * columns], { interpolation });
    });
  }
}

export interface UpSampling3DOptions extends LayerOptions {
  /** Factors of depth, height and width. Default 2. */
  size?: Size;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

/** Repeats the places of volumes (https://keras.io/api/layers/reshaping_layers/up_sampling3d/). */
export class UpSampling3D extends Layer {
  static override readonly options: OptionTable = { size: 'value', dataFormat: 'value' };
  readonly size: readonly number[];
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(options: UpSampling3DOptions = {}) {
    super(options);
    this.size = sizes('UpSampling3D', 'size', options.size ?? 2, 3);
    this.dataFormat = dataFormatOption('UpSampling3D', options.dataFormat);
    this.inputSpec = { rank: 5 };
  }

  override call(x: Tensor): Tensor {
    const first = this.dataFormat === 'channels_last' ? 1 : 2;
    return this.size.reduce((value, factor, i) => repeat(value, factor, first + i), x);
  }
}
