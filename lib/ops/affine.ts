import { emit } from '../graph/emit.js';
import { type Dimension, Tensor } from '../graph/tensor.js';
import { onImages } from './image.js';
import {
  abs,
  add,
  clip,
  floor,
  floorDivide,
  greater,
  greaterEqual,
  less,
  lessEqual,
  logicalAnd,
  minimum,
  mod,
  multiply,
  subtract,
  where,
} from './math.js';
import { cast, float, type Operand, tensor } from './operands.js';
import { at, expandDims, iota, reshapeDims, shape } from './shape.js';
import type { DataFormat } from './window.js';

/** What lies beyond the border: the image mirrored at it or repeated, its edge, or a constant. */
export type FillMode = 'reflect' | 'wrap' | 'constant' | 'nearest';

export interface AffineOptions {
  /** Default 'bilinear'. */
  interpolation?: 'bilinear' | 'nearest';
  /** Default 'constant'. */
  fillMode?: FillMode;
  /** Default 0. */
  fillValue?: number;
  dataFormat?: DataFormat;
}

/**
 * Images [N, height, width, channels] under maps [N, 8] from places of the result to places of the image:
 * x ← a0·x + a1·y + a2, y ← b0·x + b1·y + b2 for (a0, a1, a2, b0, b1, b2, 0, 0) (https://keras.io/api/ops/image/).
 */
export function affineTransform(images: Operand, transform: Operand, options: AffineOptions = {}): Tensor {
  const { interpolation = 'bilinear', fillMode = 'constant', fillValue = 0, dataFormat } = options;
  return onImages('affineTransform', images, dataFormat, (value) => {
    const x = float(value);
    const [, height, width] = x.dims as [number, number, number];
    let maps = float(transform);
    if (maps.rank === 1) maps = expandDims(maps, 0);
    const part = (i: number): Tensor => reshapeDims(at(maps, i, -1), [maps.dims[0]!, 1, 1]);
    const [column, row] = [cast(iota([1, 1, width], 2), 'float32'), cast(iota([1, height, 1], 1), 'float32')];
    const place = (first: number): Tensor =>
      add(add(multiply(part(first), column), multiply(part(first + 1), row)), part(first + 2));
    const [across, down] = [inside(place(0), width, fillMode), inside(place(3), height, fillMode)];
    const read = reader(x, fillMode === 'constant' || fillMode === 'wrap' ? fillValue : undefined);
    if (interpolation === 'nearest') return read(floor(add(down, 0.5)), floor(add(across, 0.5)));
    const [top, left] = [floor(down), floor(across)];
    const [bottom, right] = [add(top, 1), add(left, 1)];
    const [below, beside] = [expandDims(subtract(down, top), 3), expandDims(subtract(across, left), 3)];
    const blend = (a: Tensor, b: Tensor, share: Tensor): Tensor => add(a, multiply(subtract(b, a), share));
    const upper = blend(read(top, left), read(top, right), beside);
    return blend(upper, blend(read(bottom, left), read(bottom, right), beside), below);
  });
}

/** A coordinate brought back to the image, as TensorFlow's projective transform does it. */
function inside(place: Tensor, size: number, mode: FillMode): Tensor {
  if (mode === 'constant') return place;
  const last = size - 1;
  if (mode === 'nearest') return clip(place, 0, last);
  if (mode === 'reflect') {
    // The border's own line stands twice: a period of 2 · size.
    const turn = mod(add(place, 0.5), 2 * size);
    return clip(subtract(minimum(turn, subtract(2 * size, turn)), 0.5), 0, last);
  }
  if (last === 0) return multiply(place, 0);
  const times = floorDivide(abs(place), last);
  const low = add(place, multiply(add(times, 1), size));
  const high = subtract(place, multiply(times, size));
  return clip(where(less(place, 0), low, where(greater(place, last), high, place)), 0, last);
}

/** Pixels by row and column numbers [N, height, width]; places outside give `fill`, or the nearest pixel without one. */
function reader(x: Tensor, fill: number | undefined): (row: Tensor, column: Tensor) => Tensor {
  const [rows, height, width, channels] = x.dims as [number, number, number, number];
  const table = reshapeDims(x, [rows * height * width, channels]);
  const image = multiply(iota([shape(x)[0] as number | Dimension, 1, 1], 0), height * width);
  return (row, column) => {
    const [i, j] = [cast(clip(row, 0, height - 1), 'int32'), cast(clip(column, 0, width - 1), 'int32')];
    const pixels = emit('gather', [table, add(add(image, multiply(i, width)), j)]);
    if (fill === undefined) return pixels;
    const valid = logicalAnd(
      logicalAnd(greaterEqual(row, 0), lessEqual(row, height - 1)),
      logicalAnd(greaterEqual(column, 0), lessEqual(column, width - 1)),
    );
    return where(expandDims(valid, 3), pixels, fill);
  };
}

/** The rows of maps: numbers or one number for each image [N, 1]. @internal */
export function affineRows(parts: readonly (number | Tensor)[]): Tensor {
  const batch = parts.find((part) => part instanceof Tensor) as Tensor;
  const columns = parts.map((part) =>
    part instanceof Tensor ? part : emit('broadcastTo', [tensor(part)], { shape: [batch.dims[0]!, 1] }),
  );
  return emit('concat', columns, { axis: 1 });
}
