import { ChainruleError } from '../errors.js';
import { Dimension, type Tensor } from '../graph/tensor.js';
import type { DType } from '../native.js';
import { shapeText } from '../ndarray.js';
import { lastDiagonal } from './einsum.js';
import { equal, greaterEqual, lessEqual, subtract, where } from './math.js';
import { cast, type Operand, oneAxis, tensor } from './operands.js';
import {
  broadcastTo,
  concatenate,
  expandDims,
  flip,
  iota,
  pad,
  reshape,
  reshapeDims,
  strided,
  transpose,
} from './shape.js';

/** Shifts the elements along an axis; those that leave at one end come back at the other. Without an axis, of the flat tensor. */
export function roll(x: Operand, shift: number, axis?: number): Tensor {
  const value = tensor(x);
  if (axis === undefined) return reshapeDims(roll(ravel(value), shift, 0), value.dims);
  const which = oneAxis('roll', value, axis);
  const size = knownSize('roll', value, which);
  const start = size === 0 ? 0 : ((-shift % size) + size) % size || 0;
  if (start === 0) return value;
  return concatenate([strided(value, which, start, size), strided(value, which, 0, start)], which);
}

function knownSize(op: string, x: Tensor, axis: number): number {
  const size = x.dims[axis]!;
  if (size >= 0) return size;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: axis ${axis} of ${shapeText(x.shape)} is the batch, whose size is known only when the program runs.`,
  );
}

/** Exchanges two axes. */
export function swapaxes(x: Operand, axis1: number, axis2: number): Tensor {
  const value = tensor(x);
  const [a, b] = [oneAxis('swapaxes', value, axis1), oneAxis('swapaxes', value, axis2)];
  const order = value.dims.map((_, i) => (i === a ? b : i === b ? a : i));
  return transpose(value, order);
}

/** Moves axes to other places; the others keep their order. */
export function moveaxis(
  x: Operand,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  const value = tensor(x);
  const list = (axes: number | readonly number[]): number[] =>
    [axes].flat().map((axis) => oneAxis('moveaxis', value, axis));
  const [from, to] = [list(source), list(destination)];
  const rest = value.dims.map((_, i) => i).filter((i) => !from.includes(i));
  const order = value.dims.map((_, i) => {
    const moved = to.indexOf(i);
    return moved < 0 ? rest.shift()! : from[moved]!;
  });
  return transpose(value, order);
}

/** All elements on one axis. */
export const ravel = (x: Operand): Tensor => reshape(x, [-1]);

/** Turns by 90 degrees in the plane of two axes, from the first towards the second. */
export function rot90(
  x: Operand,
  { k = 1, axes = [0, 1] }: { k?: number; axes?: readonly [number, number] } = {},
): Tensor {
  const value = tensor(x);
  const turns = ((k % 4) + 4) % 4;
  if (turns === 0) return value;
  if (turns === 2) return flip(flip(value, axes[0]), axes[1]);
  return turns === 1
    ? swapaxes(flip(value, axes[1]), axes[0], axes[1])
    : flip(swapaxes(value, axes[0], axes[1]), axes[1]);
}

/** Column index minus row index of the last two axes. */
function band(rows: number, columns: number): Tensor {
  return subtract(iota([1, columns], 1), iota([rows, 1], 0));
}

/** Keeps the part of matrices on and below the k-th diagonal. */
export const tril = (x: Operand, k = 0): Tensor => triangle('tril', x, (offset) => lessEqual(offset, k));
/** Keeps the part of matrices on and above the k-th diagonal. */
export const triu = (x: Operand, k = 0): Tensor => triangle('triu', x, (offset) => greaterEqual(offset, k));

function triangle(op: string, x: Operand, kept: (offset: Tensor) => Tensor): Tensor {
  const value = tensor(x);
  const [rows, columns] = [knownSize(op, value, value.rank - 2), knownSize(op, value, value.rank - 1)];
  return where(kept(band(rows, columns)), value, 0);
}

/** Ones on and below the k-th diagonal of an n × m matrix. */
export const tri = (n: number, m = n, k = 0, dtype: DType = 'float32'): Tensor => cast(lessEqual(band(n, m), k), dtype);
/** Ones on the diagonal of a square matrix. */
export const identity = (n: number, dtype: DType = 'float32'): Tensor => cast(equal(band(n, n), 0), dtype);

export interface DiagonalOptions {
  /** How far to the right of the main diagonal. Default 0. */
  offset?: number;
  /** The matrix's axes. Default 0 and 1. */
  axis1?: number;
  axis2?: number;
}

/** The diagonal of two axes, as the last axis. */
export function diagonal(x: Operand, { offset = 0, axis1 = 0, axis2 = 1 }: DiagonalOptions = {}): Tensor {
  const value = tensor(x);
  const pair = [oneAxis('diagonal', value, axis1), oneAxis('diagonal', value, axis2)] as const;
  for (const axis of pair) knownSize('diagonal', value, axis);
  const rest = value.dims.map((_, i) => i).filter((i) => !pair.includes(i));
  return lastDiagonal(transpose(value, [...rest, ...pair]), offset);
}

/** A vector as the k-th diagonal of a matrix, or the k-th diagonal of a matrix. */
export function diag(x: Operand, k = 0): Tensor {
  const value = tensor(x);
  if (value.rank === 2) return diagonal(value, { offset: k });
  const size = knownSize('diag', value, 0);
  const square = where(equal(band(size, size), 0), expandDims(value, 0), 0);
  const margin = Math.abs(k);
  return pad(
    square,
    k >= 0
      ? [
          [0, margin],
          [margin, 0],
        ]
      : [
          [margin, 0],
          [0, margin],
        ],
  );
}

/** Differences of neighbours along an axis, n times. */
export function diff(a: Operand, { n = 1, axis = -1 }: { n?: number; axis?: number } = {}): Tensor {
  let value = tensor(a);
  const which = oneAxis('diff', value, axis);
  for (let i = 0; i < n; i++) {
    const size = knownSize('diff', value, which);
    value = subtract(strided(value, which, 1, size), strided(value, which, 0, size - 1));
  }
  return value;
}

/** Vectors as the coordinates of a grid: one tensor for each, over the axes of all ('xy' exchanges the first two). */
export function meshgrid(xs: readonly Operand[], { indexing = 'xy' }: { indexing?: 'xy' | 'ij' } = {}): Tensor[] {
  const values = xs.map((x) => ravel(x));
  const order = values.map((_, i) => i);
  if (indexing === 'xy' && order.length > 1) [order[0], order[1]] = [1, 0];
  const dim = (code: number): number | Dimension => (code < 0 ? new Dimension(-code) : code);
  const shape = order.map((i) => dim(values[i]!.dims[0]!));
  return values.map((value, i) => {
    const own = order.map((k) => (k === i ? dim(value.dims[0]!) : 1));
    return broadcastTo(reshape(value, own), shape);
  });
}
