import type { Config, OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import { dropWith, SeedGenerator } from '../../ops/random.js';
import { zerosLike } from '../../ops/shape.js';
import type { DataFormat } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { type CallContext, Layer, type LayerOptions } from '../layer.js';
import { dataFormatOption } from '../spatial.js';

export interface DropoutOptions extends LayerOptions {
  /** The fraction of elements that are zeroed, 0 … 1. */
  rate: number;
  /** Axes of size 1 share one decision; null keeps the input's size. */
  noiseShape?: readonly (number | null)[];
  seed?: number;
}

/** Rules of dropout's options. */
export const dropRate = rules.required(rules.between(0, 1), '0.5');
export const noiseShape = rules.listOf({
  expected: 'an integer or null',
  allows: (dim) => dim === null || Number.isInteger(dim),
});

/** In training, zeroes a fraction of the elements and scales the rest (https://keras.io/api/layers/regularization_layers/dropout/). */
export class Dropout extends Layer {
  static override readonly options: OptionTable = { rate: dropRate, noiseShape, seed: rules.integer() };
  readonly rate: number;
  readonly noiseShape: readonly (number | null)[] | undefined;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;

  constructor(options: DropoutOptions) {
    super(options);
    this.rate = options.rate;
    this.noiseShape = options.noiseShape;
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.supportsMasking = true;
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.rate === 0) return x;
    if (this.rate === 1) return zerosLike(x);
    const noise = this.noiseShape?.map((dim, axis) => (dim === 1 ? 1 : x.dims[axis]!));
    return dropWith(x, this.seedGenerator.next(), this.rate, noise);
  }
}

export interface SpatialDropoutOptions extends LayerOptions {
  /** The fraction of channels that are zeroed, 0 … 1. */
  rate: number;
  seed?: number;
}

/** In training, drops whole channels: all places of one share the decision. */
abstract class SpatialDropout extends Layer {
  static override readonly options: OptionTable = { rate: dropRate, seed: rules.integer() };
  readonly rate: number;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;

  constructor(rank: number, options: SpatialDropoutOptions) {
    super(options);
    this.rate = options.rate;
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.inputSpec = { rank: rank + 2 };
    this.supportsMasking = true;
  }

  protected channels(x: Tensor): number {
    return x.rank - 1;
  }

  /** Keras leaves `trainable` out of this one, and writes the dtype as a name. */
  override getConfig(): Config {
    const { trainable: _, ...config } = super.getConfig();
    return { ...config, dtype: this.dtype };
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.rate === 0) return x;
    if (this.rate === 1) return zerosLike(x);
    const channels = this.channels(x);
    const noise = x.dims.map((dim, axis) => (axis === 0 || axis === channels ? dim : 1));
    return dropWith(x, this.seedGenerator.next(), this.rate, noise);
  }
}

/** Drops whole features of [N, steps, features] (https://keras.io/api/layers/regularization_layers/spatial_dropout1d/). */
export class SpatialDropout1D extends SpatialDropout {
  constructor(options: SpatialDropoutOptions) {
    super(1, options);
  }
}

export interface SpatialDropoutFormatOptions extends SpatialDropoutOptions {
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

abstract class SpatialDropoutOfImages extends SpatialDropout {
  static override readonly options: OptionTable = { dataFormat: 'value' };
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(rank: number, options: SpatialDropoutFormatOptions) {
    super(rank, options);
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
  }

  protected override channels(x: Tensor): number {
    return this.dataFormat === 'channels_last' ? x.rank - 1 : 1;
  }
}

/** Drops whole channels of images (https://keras.io/api/layers/regularization_layers/spatial_dropout2d/). */
export class SpatialDropout2D extends SpatialDropoutOfImages {
  constructor(options: SpatialDropoutFormatOptions) {
    super(2, options);
  }
}

export class SpatialDropout3D extends SpatialDropoutOfImages {
  constructor(options: SpatialDropoutFormatOptions) {
    super(3, options);
  }
}
