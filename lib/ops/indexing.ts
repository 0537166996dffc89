import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import { Dimension, type Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { add, equal, floorDivide, less, mod, multiply, where } from './math.js';
import { cast, encodeShape, float, type Operand, oneAxis, type ShapeInput, tensor } from './operands.js';
import { max } from './reduce.js';
import { at, expandDims, iota, oneHot, onesLike, pad, reshapeDims } from './shape.js';

const product = (dims: readonly number[]): number => dims.reduce((total, dim) => total * dim, 1);
/** A dimension in the border's code as an operand. */
const operandOf = (dim: number): Operand => (dim < 0 ? new Dimension(-dim) : dim);

/**
 * For each place of `indices` the element that it names along the axis; beside the axis both have the same sizes. Negative
 * indices count from the end.
 */
export function takeAlongAxis(x: Operand, indices: Operand, axis = -1): Tensor {
  const value = tensor(x);
  const along = oneAxis('takeAlongAxis', value, axis);
  const rows = cast(indices, 'int32');
  if (rows.rank !== value.rank)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `takeAlongAxis: indices of shape ${shapeText(rows.shape)} need the rank of ${shapeText(value.shape)}.`,
    );
  // The place of each element in the flat tensor: rows of one element.
  const size = value.dims[along]!;
  let place: Operand = where(less(rows, 0), add(rows, operandOf(size)), rows);
  place = multiply(place, product(value.dims.slice(along + 1)));
  value.dims.forEach((dim, i) => {
    const inner = product(value.dims.slice(i + 1));
    if (i === along || dim === 1) return;
    const counted = iota(
      value.dims.map((one, k) => (k === i ? (one < 0 ? new Dimension(-one) : one) : 1)),
      i,
    );
    place = add(place, multiply(counted, operandOf(inner)));
  });
  return emit('gather', [reshapeDims(value, [product(value.dims)]), place]);
}

/** The flat places that rows of `indices` [count, axes] name in the leading axes of a shape. */
function places(indices: Operand, dims: readonly number[]): { flat: Tensor; inner: number[] } {
  const rows = cast(indices, 'int32');
  const axes = rows.dims.at(-1)!;
  const inner = dims.slice(axes);
  let flat = at(rows, 0, -1);
  for (let i = 1; i < axes; i++) flat = add(multiply(flat, dims[i]!), at(rows, i, -1));
  return { flat, inner };
}

/** Zeros of a shape with `values` [count, …] added at the places that the rows of `indices` [count, axes] name. */
export function scatter(indices: Operand, values: Operand, newShape: ShapeInput): Tensor {
  const dims = encodeShape('scatter', newShape);
  const { flat, inner } = places(indices, dims);
  const outer = dims.slice(0, dims.length - inner.length);
  const sums = emit('gatherGradient', [float(values), flat], { shape: [product(outer), ...inner] });
  const { dtype } = tensor(values);
  return cast(reshapeDims(sums, dims), dtype);
}

/** `x` with `updates` [count, …] in the places that the rows of `indices` [count, axes] name; no place may be named twice. */
export function scatterUpdate(x: Operand, indices: Operand, updates: Operand): Tensor {
  const value = tensor(x);
  const news = tensor(updates);
  const shape = value.dims.map((dim) => (dim < 0 ? new Dimension(-dim) : dim));
  const hit = scatter(indices, onesLike(float(news)), shape);
  return where(equal(hit, 0), value, scatter(indices, cast(news, value.dtype), shape));
}

/** `x` with the block `updates` in the place that starts at `start`. */
export function sliceUpdate(x: Operand, start: readonly number[], updates: Operand): Tensor {
  const value = tensor(x);
  const block = cast(updates, value.dtype);
  const margins = value.dims.map((dim, i): [number, number] => [start[i]!, dim - block.dims[i]! - start[i]!]);
  return where(pad(cast(onesLike(block), 'bool'), margins), pad(block, margins), value);
}

/** For rows of integers: 1 at each that occurs, 0 elsewhere. The integers of a row lie on axis 1. */
export function multiHot(indices: Operand, numClasses: number): Tensor {
  const ids = cast(indices, 'int32');
  return max(oneHot(ids, numClasses), { axis: ids.rank > 1 ? 1 : 0 });
}

/** Flat places as one tensor of indices for each axis of a shape. */
export function unravelIndex(indices: Operand, shape: readonly number[]): Tensor[] {
  const flat = cast(indices, 'int32');
  return shape.map((size, i) => {
    const inner = product(shape.slice(i + 1));
    const quotient = inner === 1 ? flat : floorDivide(flat, inner);
    return i === 0 ? quotient : mod(quotient, size);
  });
}

export interface SegmentOptions {
  /** The number of segments; it cannot follow from the data here. */
  numSegments: number;
}

/** Sums of the rows of each segment. */
export function segmentSum(data: Operand, segmentIds: Operand, { numSegments }: SegmentOptions): Tensor {
  const rows = float(data);
  return emit('gatherGradient', [rows, cast(segmentIds, 'int32')], { shape: [numSegments, ...rows.dims.slice(1)] });
}

/** The largest of the rows of each segment, elementwise; −∞ for a segment without rows. */
export function segmentMax(data: Operand, segmentIds: Operand, { numSegments }: SegmentOptions): Tensor {
  const rows = float(data);
  const member = equal(expandDims(iota([numSegments]), 1), expandDims(cast(segmentIds, 'int32'), 0));
  const wide = reshapeDims(member, [...member.dims, ...rows.dims.slice(1).map(() => 1)]);
  return max(where(wide, expandDims(rows, 0), Number.NEGATIVE_INFINITY), { axis: 1 });
}
