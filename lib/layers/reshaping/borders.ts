import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { shapeText } from '../../ndarray.js';
import { pad, slice } from '../../ops/shape.js';
import type { DataFormat } from '../../ops/window.js';
import { Layer, type LayerOptions } from '../layer.js';
import { dataFormatOption, sizes } from '../spatial.js';

/** A number for all sides, one for both sides of each axis, or [before, after] for each axis. */
export type Borders = number | readonly (number | readonly [number, number])[];
type Pairs = readonly (readonly [number, number])[];

function borders(where: string, name: string, value: Borders, rank: number): Pairs {
  const list = typeof value === 'number' ? Array<number>(rank).fill(value) : value;
  if (Array.isArray(list) && list.length === rank)
    return list.map((axis) => sizes(where, name, axis, 2, 0) as readonly [number, number]);
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: ${name} must be a number, or for each of the ${rank} axes a number or [before, after], got ${JSON.stringify(value)}.`,
    { details: { option: name, value } },
  );
}

/** A line's own rule: [before, after], or one number for both. */
const lineBorders = (where: string, name: string, value: number | readonly [number, number]): Pairs => [
  sizes(where, name, value, 2, 0) as readonly [number, number],
];

/** The pairs of the spatial axes among nothing for the batch and the channels. */
function everyAxis(pairs: Pairs, format: 'channels_last' | 'channels_first'): [number, number][] {
  const spatial = pairs.map(([before, after]): [number, number] => [before, after]);
  return format === 'channels_last' ? [[0, 0], ...spatial, [0, 0]] : [[0, 0], [0, 0], ...spatial];
}

function crop(layer: Layer, x: Tensor, margins: readonly (readonly [number, number])[]): Tensor {
  const size = x.dims.map((dim, axis) => dim - (margins[axis]![0] + margins[axis]![1]));
  if (size.some((left, axis) => left <= 0 && x.dims[axis]! >= 0))
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `layer "${layer.name}" (${layer.className}): cropping ${JSON.stringify(margins.slice(1))} leaves nothing of ${shapeText(x.shape)}.`,
      { details: { layer: layer.name } },
    );
  return slice(
    x,
    margins.map(([before]) => before),
    size,
  );
}

/** Cuts steps off [N, steps, features] (https://keras.io/api/layers/reshaping_layers/cropping1d/). */
export class Cropping1D extends Layer {
  static override readonly options: OptionTable = { cropping: 'value' };
  readonly cropping: readonly [number, number];

  constructor(options: LayerOptions & { cropping?: number | readonly [number, number] } = {}) {
    super(options);
    this.cropping = lineBorders('Cropping1D', 'cropping', options.cropping ?? 1)[0]!;
    this.inputSpec = { rank: 3 };
  }

  override call(x: Tensor): Tensor {
    return crop(this, x, everyAxis([this.cropping], 'channels_last'));
  }
}

export interface CroppingOptions extends LayerOptions {
  cropping?: Borders;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

abstract class Cropping extends Layer {
  static override readonly options: OptionTable = { cropping: 'value', dataFormat: 'value' };
  readonly cropping: Pairs;
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(rank: number, fallback: number, options: CroppingOptions = {}) {
    super(options);
    this.cropping = borders(this.className, 'cropping', options.cropping ?? fallback, rank);
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
    this.inputSpec = { rank: rank + 2 };
  }

  override call(x: Tensor): Tensor {
    return crop(this, x, everyAxis(this.cropping, this.dataFormat));
  }
}

/** Cuts the borders of images; nothing by default (https://keras.io/api/layers/reshaping_layers/cropping2d/). */
export class Cropping2D extends Cropping {
  constructor(options?: CroppingOptions) {
    super(2, 0, options);
  }
}

export class Cropping3D extends Cropping {
  constructor(options?: CroppingOptions) {
    super(3, 1, options);
  }
}

export interface ZeroPadding1DOptions extends LayerOptions {
  /** Default 1. */
  padding?: number | readonly [number, number];
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

/** Adds zero steps to [N, steps, features] (https://keras.io/api/layers/reshaping_layers/zero_padding1d/). */
export class ZeroPadding1D extends Layer {
  static override readonly options: OptionTable = { padding: 'value', dataFormat: 'value' };
  readonly padding: readonly [number, number];
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(options: ZeroPadding1DOptions = {}) {
    super(options);
    this.padding = lineBorders('ZeroPadding1D', 'padding', options.padding ?? 1)[0]!;
    this.dataFormat = dataFormatOption('ZeroPadding1D', options.dataFormat);
    this.inputSpec = { rank: 3 };
  }

  override call(x: Tensor): Tensor {
    return pad(x, everyAxis([this.padding], this.dataFormat));
  }
}

export interface ZeroPaddingOptions extends LayerOptions {
  /** Default 1. */
  padding?: Borders;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

abstract class ZeroPadding extends Layer {
  static override readonly options: OptionTable = { padding: 'value', dataFormat: 'value' };
  readonly padding: Pairs;
  readonly dataFormat: 'channels_last' | 'channels_first';

  constructor(rank: number, options: ZeroPaddingOptions = {}) {
    super(options);
    this.padding = borders(this.className, 'padding', options.padding ?? 1, rank);
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
    this.inputSpec = { rank: rank + 2 };
  }

  override call(x: Tensor): Tensor {
    return pad(x, everyAxis(this.padding, this.dataFormat));
  }
}

/** Surrounds images with zeros (https://keras.io/api/layers/reshaping_layers/zero_padding2d/). */
export class ZeroPadding2D extends ZeroPadding {
  constructor(options?: ZeroPaddingOptions) {
    super(2, options);
  }
}

export class ZeroPadding3D extends ZeroPadding {
  constructor(options?: ZeroPaddingOptions) {
    super(3, options);
  }
}
