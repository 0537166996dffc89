import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { float, type Operand } from './operands.js';
import { max, mean, type ReduceOptions } from './reduce.js';
import { concatenate, reshapeDims, strided } from './shape.js';
import { type DataFormat, inChannelsLast, margins, type Padding, perAxis, type Size, spatialRank } from './window.js';

export interface PoolOptions {
  /** The pool size when absent. */
  strides?: Size;
  /** Default 'valid'. */
  padding?: Padding;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

/** The largest element of each window over the 1, 2 or 3 spatial axes of [N, spatial…, channels]. */
export const maxPool = (x: Operand, poolSize: Size, options: PoolOptions = {}): Tensor =>
  pool('maxPool', x, poolSize, options);
/** The mean of each window; padding is not counted. */
export const averagePool = (x: Operand, poolSize: Size, options: PoolOptions = {}): Tensor =>
  pool('avgPool', x, poolSize, options);

interface Axis {
  size: number;
  stride: number;
  margin: [number, number];
}
const none: Axis = { size: 1, stride: 1, margin: [0, 0] };

function pool(op: string, x: Operand, poolSize: Size, options: PoolOptions): Tensor {
  const { strides = poolSize, padding = 'valid', dataFormat } = options;
  return inChannelsLast(float(x), dataFormat, (value) => {
    const rank = spatialRank(op, value);
    const [size, stride] = [perAxis(op, 'poolSize', poolSize, rank), perAxis(op, 'strides', strides, rank)];
    const margin = margins(
      op,
      value,
      size,
      stride,
      size.map(() => 1),
      padding,
    );
    const axes = size.map((length, i): Axis => ({ size: length, stride: stride[i]!, margin: margin[i]! }));
    if (rank === 2) return image(op, value, axes[0]!, axes[1]!);
    if (rank === 1) return line(op, value, axes[0]!);
    return volume(op, value, axes);
  });
}

function image(op: string, x: Tensor, rows: Axis, columns: Axis): Tensor {
  return emit(op, [x], {
    size: [rows.size, columns.size],
    strides: [rows.stride, columns.stride],
    padding: [...rows.margin, ...columns.margin],
  });
}

function line(op: string, x: Tensor, axis: Axis): Tensor {
  const [batch, ...rest] = x.dims as [number, ...number[]];
  const result = image(op, reshapeDims(x, [batch, 1, ...rest]), none, axis);
  return reshapeDims(result, [batch, ...result.dims.slice(2)]);
}

/** A window over a volume factors: first within the slices, then along the depth. Means, too: so do their counts. */
function volume(op: string, x: Tensor, axes: readonly Axis[]): Tensor {
  const [batch, depth, ...slice] = x.dims as [number, number, ...number[]];
  const flat = image(op, reshapeDims(x, [batch * depth, ...slice]), axes[1]!, axes[2]!);
  const [height, width, channels] = flat.dims.slice(1) as [number, number, number];
  const deep = image(op, reshapeDims(flat, [batch, depth, height * width, channels]), axes[0]!, none);
  return reshapeDims(deep, [batch, deep.dims[1]!, height, width, channels]);
}

/** The largest elements of windows that divide each spatial axis into `outputSize` parts, overlapping where they must. */
export const adaptiveMaxPool = (
  x: Operand,
  outputSize: Size,
  { dataFormat }: { dataFormat?: DataFormat } = {},
): Tensor => adaptive('adaptiveMaxPool', x, outputSize, dataFormat, max);
/** The means of such windows. */
export const adaptiveAveragePool = (
  x: Operand,
  outputSize: Size,
  { dataFormat }: { dataFormat?: DataFormat } = {},
): Tensor => adaptive('adaptiveAveragePool', x, outputSize, dataFormat, mean);

function adaptive(
  op: string,
  x: Operand,
  outputSize: Size,
  dataFormat: DataFormat | undefined,
  fold: (x: Tensor, options: ReduceOptions) => Tensor,
): Tensor {
  return inChannelsLast(float(x), dataFormat, (value) => {
    const sizes = perAxis(op, 'outputSize', outputSize, spatialRank(op, value));
    return sizes.reduce((result, parts, i) => {
      const [axis, length] = [i + 1, result.dims[i + 1]!];
      const windows = Array.from({ length: parts }, (_, k) => {
        const [begin, end] = [Math.floor((k * length) / parts), Math.ceil(((k + 1) * length) / parts)];
        return fold(strided(result, axis, begin, end), { axis, keepdims: true });
      });
      return concatenate(windows, axis);
    }, value);
  });
}
