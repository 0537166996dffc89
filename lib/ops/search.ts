import { emit } from '../graph/emit.js';
import { Dimension, type Tensor } from '../graph/tensor.js';
import { NDArray } from '../ndarray.js';
import { fromNested } from '../nested.js';
import { takeAlongAxis } from './indexing.js';
import { add, cast, equal, less, lessEqual, logicalNot, multiply, subtract } from './math.js';
import { float, type Operand, oneAxis, tensor } from './operands.js';
import { type ReduceOptions, sum } from './reduce.js';
import { expandDims, oneHot, reshape, squeeze, strided, transpose } from './shape.js';

export interface SortOptions {
  /** Default -1. */
  axis?: number;
  /** From the largest down. Default false. */
  descending?: boolean;
}

/** The places that bring an axis into order; equal elements keep theirs, NaN comes last. int32. */
export function argsort(x: Operand, { axis = -1, descending = false }: SortOptions = {}): Tensor {
  const value = sortable(x);
  return emit('argsort', [value], { axis: oneAxis('argsort', value, axis), descending });
}

const sortable = (x: Operand): Tensor => {
  const value = tensor(x);
  return value.dtype === 'float32' ? value : cast(value, 'int32');
};

/** The elements in ascending order along an axis. */
export function sort(x: Operand, options: SortOptions = {}): Tensor {
  const value = tensor(x);
  return takeAlongAxis(value, argsort(value, options), options.axis ?? -1);
}

/** The k largest of the last axis and their places, from the largest down. */
export function topK(x: Operand, k: number): { values: Tensor; indices: Tensor } {
  const value = tensor(x);
  const order = argsort(value, { descending: true });
  const indices = strided(order, -1, 0, Math.min(k, value.dims.at(-1)!));
  return { values: takeAlongAxis(value, indices, -1), indices };
}

/** For each value the place where it belongs in an ascending sequence: before equal elements (left) or behind them. int32. */
export function searchsorted(
  sortedSequence: Operand,
  values: Operand,
  { side = 'left' }: { side?: 'left' | 'right' } = {},
): Tensor {
  const wanted = expandDims(values, tensor(values).rank);
  // NaN belongs behind everything, so what is not less counts.
  const before =
    side === 'left' ? logicalNot(lessEqual(wanted, sortedSequence)) : logicalNot(less(wanted, sortedSequence));
  return sum(before, { axis: -1 });
}

/** The index of each number's bin; a number equal to a boundary belongs to the bin behind it. int32. */
export const digitize = (x: Operand, bins: Operand): Tensor => searchsorted(bins, x, { side: 'right' });

/** Quantiles 0 … 1 along the axes (all when absent), linear between the two nearest elements; several q come first. */
export function quantile(
  x: Operand,
  q: number | readonly number[],
  { axis, keepdims = false }: ReduceOptions = {},
): Tensor {
  const value = float(x);
  const over =
    axis === undefined ? value.dims.map((_, i) => i) : [axis].flat().map((a) => oneAxis('quantile', value, a));
  const rest = value.dims.map((_, i) => i).filter((i) => !over.includes(i));
  const moved = transpose(value, [...rest, ...over]);
  const dim = (code: number): number | Dimension => (code < 0 ? new Dimension(-code) : code);
  const line = reshape(moved, [...rest.map((i) => dim(value.dims[i]!)), -1]);
  const sorted = sort(line);
  const count = sorted.dims.at(-1)!;
  const one = (share: number): Tensor => {
    const place = share * (count - 1);
    const [low, high] = [Math.floor(place), Math.ceil(place)];
    const pick = (i: number): Tensor => squeeze(strided(sorted, -1, i, i + 1), -1);
    const below = pick(low);
    const result = low === high ? below : add(below, multiply(subtract(pick(high), below), place - low));
    return keepdims
      ? reshape(
          result,
          value.dims.map((code, i) => (over.includes(i) ? 1 : dim(code))),
        )
      : result;
  };
  if (typeof q === 'number') return one(q);
  const all = q.map((share) => expandDims(one(share), 0));
  return all.length === 1 ? all[0]! : emit('concat', all, { axis: 0 });
}

/** The middle element along the axes, or the mean of the two. */
export const median = (x: Operand, options: ReduceOptions = {}): Tensor => quantile(x, 0.5, options);

/**
 * How often (or with which sum of weights) each integer from 0 occurs along the last axis. The result's length is `minlength`,
 * or one more than the largest of numbers that are given as an array.
 */
export function bincount(
  x: Operand,
  { weights, minlength = 0 }: { weights?: Operand; minlength?: number } = {},
): Tensor {
  const known = x instanceof NDArray || Array.isArray(x) ? fromNested(x as NDArray).data : [];
  const depth = (known as ArrayLike<number> & Iterable<number>)[Symbol.iterator]
    ? [...(known as Iterable<number>)].reduce((most, id) => Math.max(most, id + 1), minlength)
    : minlength;
  const hot = oneHot(x, depth);
  if (weights === undefined) return cast(sum(hot, { axis: -2 }), 'int32');
  return sum(multiply(hot, expandDims(weights, -1)), { axis: -2 });
}

/** The number of elements along the axes that are not zero; int32. */
export const countNonzero = (x: Operand, options: ReduceOptions = {}): Tensor => sum(logicalNot(equal(x, 0)), options);
