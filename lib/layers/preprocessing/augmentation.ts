import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { affineRows, affineTransform, type FillMode } from '../../ops/affine.js';
import { onImages, resize } from '../../ops/image.js';
import { add, cast, clip, cos, floor, lessEqual, multiply, negative, sin, subtract, where } from '../../ops/math.js';
import { SeedGenerator, uniform } from '../../ops/random.js';
import { mean } from '../../ops/reduce.js';
import { flip, iota, shape, slice, take } from '../../ops/shape.js';
import type { DataFormat } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { type CallContext, Layer, type LayerOptions } from '../layer.js';
import { choice, dataFormatOption } from '../spatial.js';

/** A limit for both directions, or [lower, upper]. */
export type Factor = number | readonly [number, number];

export interface AugmentationOptions extends LayerOptions {
  seed?: number;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

/** [lower, upper]. */
const pair: rules.Rule = {
  expected: 'two numbers [lower, upper]',
  allows: (value) => rules.listOf(rules.number).allows(value) && (value as unknown[]).length === 2,
};
const factor: rules.Rule = {
  expected: 'a number or [lower, upper]',
  allows: (value) => rules.number.allows(value) || pair.allows(value),
};

/** Layers that change images at random in training and leave them alone otherwise. */
abstract class Augmentation extends Layer {
  static override readonly options: OptionTable = { seed: rules.integer(), dataFormat: 'value' };
  readonly seed: number | undefined;
  readonly dataFormat: 'channels_last' | 'channels_first';
  readonly seedGenerator: SeedGenerator;

  constructor(options: AugmentationOptions) {
    super(options);
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
  }

  /** [N, height, width, channels], changed. */
  protected abstract change(images: Tensor): Tensor;

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training) return x;
    return onImages(this.className, x, this.dataFormat, (images) => this.change(images));
  }

  /** A number for each image, [N, 1] or [N, 1, 1, 1]. */
  protected draw(images: Tensor, [minval, maxval]: readonly [number, number], rank: 2 | 4): Tensor {
    const rows = shape(images)[0]!;
    return uniform(rank === 2 ? [rows, 1] : [rows, 1, 1, 1], { minval, maxval, seed: this.seedGenerator });
  }
}

/** [lower, upper] within bounds; a number f means [−f, f], cut at the lower bound. */
function range(
  where: string,
  name: string,
  factor: Factor,
  [least, most]: readonly [number, number],
): [number, number] {
  const pair = typeof factor === 'number' ? [Math.max(-Math.abs(factor), least), Math.abs(factor)] : [...factor];
  const [lower, upper] = pair.sort((a, b) => a - b) as [number, number];
  if (pair.length === 2 && lower >= least && upper <= most) return [lower, upper];
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: ${name} must be a number or [lower, upper] from ${least} to ${most}, got ${JSON.stringify(factor)}.`,
    { details: { option: name, value: factor } },
  );
}

export interface RandomFlipOptions extends AugmentationOptions {
  /** Default 'horizontalAndVertical'. */
  mode?: 'horizontal' | 'vertical' | 'horizontalAndVertical' | 'horizontal_and_vertical';
}

/** Mirrors images, each with probability ½ (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_flip/). */
export class RandomFlip extends Augmentation {
  static override readonly options: OptionTable = { mode: 'value' };
  readonly mode: 'horizontal' | 'vertical' | 'horizontal_and_vertical';

  constructor(options: RandomFlipOptions = {}) {
    super(options);
    this.mode = choice('RandomFlip', 'mode', options.mode, ['horizontal_and_vertical', 'horizontal', 'vertical']);
  }

  protected override change(images: Tensor): Tensor {
    // As in Keras one decision turns both directions.
    const turned = lessEqual(this.draw(images, [0, 1], 4), 0.5);
    let mirrored = images;
    if (this.mode !== 'vertical') mirrored = flip(mirrored, 2);
    if (this.mode !== 'horizontal') mirrored = flip(mirrored, 1);
    return where(turned, mirrored, images);
  }
}

interface MappingOptions extends AugmentationOptions {
  /** What comes in from beyond the border. Default 'reflect'. */
  fillMode?: FillMode;
  /** Default 'bilinear'. */
  interpolation?: 'bilinear' | 'nearest';
  /** For fillMode 'constant'. Default 0. */
  fillValue?: number;
}

/** Augmentations that map places to places. */
abstract class Mapping extends Augmentation {
  static override readonly options: OptionTable = {
    fillMode: 'value',
    interpolation: 'value',
    fillValue: rules.number,
  };
  readonly fillMode: FillMode;
  readonly interpolation: 'bilinear' | 'nearest';
  readonly fillValue: number;

  constructor(options: MappingOptions) {
    super(options);
    this.fillMode = choice(this.className, 'fillMode', options.fillMode, ['reflect', 'wrap', 'constant', 'nearest']);
    this.interpolation = choice(this.className, 'interpolation', options.interpolation, ['bilinear', 'nearest']);
    this.fillValue = options.fillValue ?? 0;
  }

  /** The map of each image as rows [N, 8]. */
  protected abstract map(images: Tensor): Tensor;

  protected override change(images: Tensor): Tensor {
    const { fillMode, interpolation, fillValue } = this;
    return affineTransform(images, this.map(images), { fillMode, interpolation, fillValue });
  }
}

export interface RandomRotationOptions extends MappingOptions {
  /** Parts of a full turn. */
  factor: Factor;
}

/** Rotates images about their centre (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_rotation/). */
export class RandomRotation extends Mapping {
  static override readonly options: OptionTable = { factor: rules.required(factor, '0.1') };
  readonly factor: readonly [number, number];

  constructor(options: RandomRotationOptions) {
    super(options);
    this.factor = range('RandomRotation', 'factor', options.factor, [-1, 1]);
  }

  protected override map(images: Tensor): Tensor {
    const [height, width] = [images.dims[1]!, images.dims[2]!];
    const angle = multiply(this.draw(images, this.factor, 2), 2 * Math.PI);
    const [c, s] = [cos(angle), sin(angle)];
    const [x, y] = [(width - 1) / 2, (height - 1) / 2];
    const across = subtract(add(multiply(s, y), x), multiply(c, x));
    const down = subtract(subtract(y, multiply(s, x)), multiply(c, y));
    return affineRows([c, negative(s), across, s, c, down, 0, 0]);
  }
}

export interface RandomTranslationOptions extends MappingOptions {
  /** Parts of the height; positive moves down. */
  heightFactor: Factor;
  /** Parts of the width; positive moves right. */
  widthFactor: Factor;
}

/** Moves images (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_translation/). */
export class RandomTranslation extends Mapping {
  static override readonly options: OptionTable = {
    heightFactor: rules.required(factor, '0.1'),
    widthFactor: rules.required(factor, '0.1'),
  };
  readonly heightFactor: Factor;
  readonly widthFactor: Factor;

  constructor(options: RandomTranslationOptions) {
    super(options);
    this.heightFactor = options.heightFactor;
    this.widthFactor = options.widthFactor;
    for (const name of ['heightFactor', 'widthFactor'] as const)
      range('RandomTranslation', name, options[name], [-1, 1]);
  }

  protected override map(images: Tensor): Tensor {
    const way = (factor: Factor, size: number): Tensor =>
      multiply(this.draw(images, range('RandomTranslation', 'factor', factor, [-1, 1]), 2), -size);
    const down = way(this.heightFactor, images.dims[1]!);
    return affineRows([1, 0, way(this.widthFactor, images.dims[2]!), 0, 1, down, 0, 0]);
  }
}

export interface RandomZoomOptions extends MappingOptions {
  /** Parts of the height: −0.2 shows a fifth less of it, larger. */
  heightFactor: Factor;
  /** Parts of the width; as much as the height when absent. */
  widthFactor?: Factor;
}

/** Zooms into images or out of them, about their centre (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_zoom/). */
export class RandomZoom extends Mapping {
  static override readonly options: OptionTable = {
    heightFactor: rules.required(factor, '0.1'),
    widthFactor: factor,
  };
  readonly heightFactor: Factor;
  readonly widthFactor: Factor | undefined;

  constructor(options: RandomZoomOptions) {
    super(options);
    this.heightFactor = options.heightFactor;
    this.widthFactor = options.widthFactor;
    for (const name of ['heightFactor', 'widthFactor'] as const) range('RandomZoom', name, options[name] ?? 0, [-1, 1]);
  }

  protected override map(images: Tensor): Tensor {
    const zoom = (factor: Factor): Tensor =>
      add(this.draw(images, range('RandomZoom', 'factor', factor, [-1, 1]), 2), 1);
    const down = zoom(this.heightFactor);
    const across = this.widthFactor === undefined ? down : zoom(this.widthFactor);
    const centred = (share: Tensor, size: number): Tensor => multiply(subtract(1, share), (size - 1) / 2);
    const [x, y] = [centred(across, images.dims[2]!), centred(down, images.dims[1]!)];
    return affineRows([across, 0, x, 0, down, y, 0, 0]);
  }
}

interface ColorOptions extends AugmentationOptions {
  factor: Factor;
  /** What the images' numbers lie between. Default [0, 255]. */
  valueRange?: readonly [number, number];
}

abstract class Color extends Augmentation {
  static override readonly options: OptionTable = {
    factor: rules.required(factor, '0.1'),
    valueRange: pair,
  };
  readonly factor: readonly [number, number];
  readonly valueRange: readonly [number, number];

  constructor(bounds: readonly [number, number], options: ColorOptions) {
    super(options);
    this.factor = range(this.className, 'factor', options.factor, bounds);
    const [low, high] = options.valueRange ?? [0, 255];
    this.valueRange = [Math.min(low, high), Math.max(low, high)];
  }
}

/** Distances from the mean of each channel times a factor from 1 − lower to 1 + upper (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_contrast/). */
export class RandomContrast extends Color {
  constructor(options: ColorOptions) {
    super([0, 1], options);
  }

  protected override change(images: Tensor): Tensor {
    const factor = this.draw(images, [1 - this.factor[0], 1 + this.factor[1]], 4);
    const middle = mean(images, { axis: [1, 2], keepdims: true });
    return clip(add(multiply(subtract(images, middle), factor), middle), ...this.valueRange);
  }
}

/** Adds a part of the value range to all pixels of an image (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_brightness/). */
export class RandomBrightness extends Color {
  constructor(options: ColorOptions) {
    super([-1, 1], options);
  }

  protected override change(images: Tensor): Tensor {
    const [low, high] = this.valueRange;
    return clip(add(images, multiply(this.draw(images, this.factor, 4), high - low)), low, high);
  }
}

export interface RandomCropOptions extends AugmentationOptions {
  height: number;
  width: number;
}

/** A part of images at a place drawn for each batch; images that are not larger are cut in the middle and resized (https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_crop/). */
export class RandomCrop extends Augmentation {
  static override readonly options: OptionTable = {
    height: rules.required(rules.integer(1), '224'),
    width: rules.required(rules.integer(1), '224'),
  };
  readonly height: number;
  readonly width: number;

  constructor(options: RandomCropOptions) {
    super(options);
    this.height = options.height;
    this.width = options.width;
  }

  protected override change(images: Tensor): Tensor {
    const { height, width } = this;
    const [rows, columns] = [images.dims[1]!, images.dims[2]!];
    if (rows <= height || columns <= width) return this.middle(images, rows, columns);
    const lines = (size: number, spare: number): Tensor => {
      const start = floor(uniform([], { maxval: spare + 1, seed: this.seedGenerator }));
      return add(iota([size]), cast(start, 'int32'));
    };
    return take(take(images, lines(height, rows - height), 1), lines(width, columns - width), 2);
  }

  private middle(images: Tensor, rows: number, columns: number): Tensor {
    const { height, width } = this;
    const tall = Math.max(Math.min(rows, Math.trunc((columns * height) / width)), 1);
    const broad = Math.max(Math.min(columns, Math.trunc((rows * width) / height)), 1);
    const start = [Math.trunc((rows - tall) / 2), Math.trunc((columns - broad) / 2)] as const;
    const size = [Math.min(height, rows - start[0]), Math.min(width, columns - start[1])] as const;
    const part = slice(images, [0, ...start, 0], [-1, ...size, -1]);
    return size[0] === height && size[1] === width ? part : resize(part, [height, width]);
  }
}
