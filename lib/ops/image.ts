import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { NDArray, shapeText } from '../ndarray.js';
import { matmul } from './math.js';
import { cast, float, type Operand, tensor } from './operands.js';
import { expandDims, pad, reshapeDims, slice, squeeze, take } from './shape.js';
import { type DataFormat, inChannelsLast } from './window.js';

export type Interpolation = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos3' | 'lanczos5';

export interface ResizeOptions {
  /** Default 'bilinear'. */
  interpolation?: Interpolation;
  /** Widens the filter when images shrink, so that every pixel counts. Default false. */
  antialias?: boolean;
  /** Cut the image to the target's aspect ratio before. Default false. */
  cropToAspectRatio?: boolean;
  /** Surround the image with `fillValue` to the target's aspect ratio before. Default false. */
  padToAspectRatio?: boolean;
  /** Default 0. */
  fillValue?: number;
  dataFormat?: DataFormat;
}

/** An interpolation kernel over the distance in pixels, and how far it reaches. */
interface Filter {
  radius: number;
  weight: (distance: number) => number;
}

const lanczos = (radius: number): Filter => ({
  radius,
  weight: (x) => {
    if (x > radius) return 0;
    if (x <= 1e-3) return 1;
    return (radius * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / radius)) / (Math.PI * x) ** 2;
  },
});

const filters: Record<Exclude<Interpolation, 'nearest'>, Filter> = {
  bilinear: { radius: 1, weight: (x) => Math.max(0, 1 - x) },
  // Keys's cubic with a = -1/2.
  bicubic: {
    radius: 2,
    weight: (x) => {
      if (x >= 2) return 0;
      return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
    },
  },
  lanczos3: lanczos(3),
  lanczos5: lanczos(5),
};

/**
 * Images [N, height, width, channels] (or one image, without N) in another size, [height, width]. Pixel centres lie at half
 * steps, and what a filter misses beyond the border is made up for by the others (https://keras.io/api/ops/image/).
 */
export function resize(images: Operand, size: readonly [number, number], options: ResizeOptions = {}): Tensor {
  const { interpolation = 'bilinear', antialias = false, dataFormat } = options;
  return onImages('resize', images, dataFormat, (x) => {
    const framed = frame(x, size, options);
    if (interpolation === 'nearest') return nearest(nearest(framed, 1, size[0]), 2, size[1]);
    const filter = filters[interpolation];
    const value = float(framed);
    const [rows, height, width, channels] = value.dims as [number, number, number, number];
    const down = new NDArray(weights(height, size[0], filter, antialias), [size[0], height]);
    const across = new NDArray(weights(width, size[1], filter, antialias), [size[1], width]);
    const tall = matmul(down, reshapeDims(value, [rows, height, width * channels]));
    const lines = reshapeDims(tall, [rows * size[0], width, channels]);
    return reshapeDims(matmul(across, lines), [rows, size[0], size[1], channels]);
  });
}

function nearest(x: Tensor, axis: number, size: number): Tensor {
  const from = x.dims[axis]!;
  if (from === size) return x;
  const places = Int32Array.from({ length: size }, (_, i) => Math.min(from - 1, Math.floor(((i + 0.5) * from) / size)));
  return take(x, new NDArray(places, [size]), axis);
}

/** The matrix [to, from] of an interpolation along one axis. */
function weights(from: number, to: number, { radius, weight }: Filter, antialias: boolean): Float32Array {
  const matrix = new Float32Array(from * to);
  const step = from / to;
  const scale = antialias ? Math.max(step, 1) : 1;
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * step;
    const first = Math.max(0, Math.ceil(centre - radius * scale - 0.5));
    const last = Math.min(from - 1, Math.floor(centre + radius * scale - 0.5));
    const row = Array.from({ length: last - first + 1 }, (_, k) => weight(Math.abs(first + k + 0.5 - centre) / scale));
    const total = row.reduce((sum, value) => sum + value, 0);
    for (const [k, value] of row.entries()) matrix[i * from + first + k] = value / total;
  }
  return matrix;
}

/** Cuts or surrounds images so that they have the target's aspect ratio. */
function frame(x: Tensor, [targetHeight, targetWidth]: readonly [number, number], options: ResizeOptions): Tensor {
  const [height, width] = [x.dims[1]!, x.dims[2]!];
  const tall = Math.trunc(Math.fround(Math.fround(width * targetHeight) / targetWidth));
  const broad = Math.trunc(Math.fround(Math.fround(height * targetWidth) / targetHeight));
  if (options.cropToAspectRatio) {
    if (options.padToAspectRatio)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        'resize: only one of cropToAspectRatio and padToAspectRatio can be true.',
      );
    const size = [Math.max(Math.min(height, tall), 1), Math.max(Math.min(width, broad), 1)] as const;
    const start = [Math.trunc((height - size[0]) / 2), Math.trunc((width - size[1]) / 2)] as const;
    return slice(x, [0, ...start, 0], [-1, ...size, -1]);
  }
  if (!options.padToAspectRatio) return x;
  // As Keras: equally on both sides, one pixel less where the difference is odd.
  const down = Math.trunc((Math.max(height, tall) - height) / 2);
  const across = Math.trunc((Math.max(width, broad) - width) / 2);
  const margins = [
    [0, 0],
    [down, down],
    [across, across],
    [0, 0],
  ] as const;
  return pad(x, margins, { constantValues: options.fillValue ?? 0 });
}

/** Runs a function of [N, height, width, channels] on a batch or on one image, of either format. */
export function onImages(
  op: string,
  images: Operand,
  format: DataFormat | undefined,
  fn: (x: Tensor) => Tensor,
): Tensor {
  const value = tensor(images);
  if (value.rank === 4) return inChannelsLast(value, format, fn);
  if (value.rank === 3) return squeeze(inChannelsLast(expandDims(value, 0), format, fn), 0);
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: expected images [N, height, width, channels] or one without N, got shape ${shapeText(value.shape)}.`,
  );
}

interface Format {
  dataFormat?: DataFormat;
}

/** Luma of red, green and blue: [N, height, width, 3] → [N, height, width, 1]. */
export function rgbToGrayscale(images: Operand, { dataFormat }: Format = {}): Tensor {
  const { dtype } = tensor(images);
  return onImages('rgbToGrayscale', images, dataFormat, (x) =>
    x.dims[3] === 1 ? x : cast(matmul(float(x), new NDArray(Float32Array.of(0.2989, 0.587, 0.114), [3, 1])), dtype),
  );
}

/** Places on each side of images, or the size that they shall get in their stead. */
export interface Sides extends Format {
  top?: number;
  left?: number;
  bottom?: number;
  right?: number;
  targetHeight?: number;
  targetWidth?: number;
}

/** Two of (before, after, target) determine an axis; what is missing follows, and 0 where too much is. */
function sides(
  grow: 1 | -1,
  size: number,
  before: number | undefined,
  after: number | undefined,
  target: number | undefined,
): [number, number] {
  const total = target === undefined ? undefined : grow * (target - size);
  const first = before ?? (total === undefined || after === undefined ? 0 : total - after);
  return [first, after ?? (total === undefined ? 0 : total - first)];
}

/** Surrounds images with zeros. */
export function padImages(images: Operand, options: Sides): Tensor {
  return onImages('padImages', images, options.dataFormat, (x) => {
    const down = sides(1, x.dims[1]!, options.top, options.bottom, options.targetHeight);
    const across = sides(1, x.dims[2]!, options.left, options.right, options.targetWidth);
    return pad(x, [[0, 0], down, across, [0, 0]]);
  });
}

/** Cuts the borders off images. */
export function cropImages(images: Operand, options: Sides): Tensor {
  return onImages('cropImages', images, options.dataFormat, (x) => {
    const [height, width] = [x.dims[1]!, x.dims[2]!];
    const down = sides(-1, height, options.top, options.bottom, options.targetHeight);
    const across = sides(-1, width, options.left, options.right, options.targetWidth);
    return slice(x, [0, down[0], across[0], 0], [-1, height - down[0] - down[1], width - across[0] - across[1], -1]);
  });
}
