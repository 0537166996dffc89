import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { type Interpolation, onImages, resize } from '../../ops/image.js';
import { clip, round } from '../../ops/math.js';
import { cast } from '../../ops/operands.js';
import { slice } from '../../ops/shape.js';
import type { DataFormat } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions } from '../layer.js';
import { rounded } from '../precision.js';
import { choice, dataFormatOption } from '../spatial.js';

export interface ResizingOptions extends LayerOptions {
  height: number;
  width: number;
  /** Default 'bilinear'. */
  interpolation?: Interpolation;
  /** Cut images to the new aspect ratio before. Default false. */
  cropToAspectRatio?: boolean;
  /** Surround images to the new aspect ratio before. Default false. */
  padToAspectRatio?: boolean;
  /** Only 'constant'. */
  fillMode?: 'constant';
  /** Default 0. */
  fillValue?: number;
  /** Widen the filter when images shrink. Default false. */
  antialias?: boolean;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

/** Images in another size; integers stay integers (https://keras.io/api/layers/preprocessing_layers/image_preprocessing/resizing/). */
export class Resizing extends Layer {
  static override readonly options: OptionTable = {
    height: rules.required(rules.integer(1), '224'),
    width: rules.required(rules.integer(1), '224'),
    interpolation: 'value',
    cropToAspectRatio: rules.flag,
    padToAspectRatio: rules.flag,
    fillMode: 'value',
    fillValue: rules.number,
    antialias: rules.flag,
    dataFormat: 'value',
  };
  readonly height: number;
  readonly width: number;
  readonly interpolation: Interpolation;
  readonly cropToAspectRatio: boolean;
  readonly padToAspectRatio: boolean;
  readonly fillMode: 'constant';
  readonly fillValue: number;
  readonly antialias: boolean;
  readonly dataFormat: 'channels_last' | 'channels_first';
  protected override autocast = false;

  constructor(options: ResizingOptions) {
    super(options);
    this.height = options.height;
    this.width = options.width;
    this.interpolation = choice('Resizing', 'interpolation', options.interpolation, [
      'bilinear',
      'nearest',
      'bicubic',
      'lanczos3',
      'lanczos5',
    ]);
    this.cropToAspectRatio = options.cropToAspectRatio ?? false;
    this.padToAspectRatio = options.padToAspectRatio ?? false;
    this.fillMode = choice('Resizing', 'fillMode', options.fillMode, ['constant']);
    this.fillValue = options.fillValue ?? 0;
    this.antialias = options.antialias ?? false;
    this.dataFormat = dataFormatOption('Resizing', options.dataFormat);
    if (this.cropToAspectRatio && this.padToAspectRatio)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        'Resizing: only one of cropToAspectRatio and padToAspectRatio can be true.',
      );
  }

  override call(input: Tensor): Tensor {
    // Integers stay integers: only what is rounded here is left to the layer itself.
    const x = this.rounds && input.dtype === 'float32' ? rounded(input) : input;
    const resized = resize(x, [this.height, this.width], this);
    if (resized.dtype === x.dtype) return resized;
    const whole = round(resized);
    return cast(x.dtype === 'uint8' ? clip(whole, 0, 255) : whole, x.dtype);
  }
}

export interface CenterCropOptions extends LayerOptions {
  height: number;
  width: number;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

/** The middle of images; images that are too small are cut to the aspect ratio and enlarged (https://keras.io/api/layers/preprocessing_layers/image_preprocessing/center_crop/). */
export class CenterCrop extends Layer {
  static override readonly options: OptionTable = {
    height: rules.required(rules.integer(1), '224'),
    width: rules.required(rules.integer(1), '224'),
    dataFormat: 'value',
  };
  readonly height: number;
  readonly width: number;
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(options: CenterCropOptions) {
    super(options);
    this.height = options.height;
    this.width = options.width;
    this.dataFormat = dataFormatOption('CenterCrop', options.dataFormat);
  }

  override call(x: Tensor): Tensor {
    return onImages('CenterCrop', x, this.dataFormat, (image) => {
      const { height, width } = this;
      const spare = [image.dims[1]! - height, image.dims[2]! - width] as const;
      if (spare[0] < 0 || spare[1] < 0) return resize(image, [height, width], { cropToAspectRatio: true });
      return slice(image, [0, Math.floor(spare[0] / 2), Math.floor(spare[1] / 2), 0], [-1, height, width, -1]);
    });
  }
}
