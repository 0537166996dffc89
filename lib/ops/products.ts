import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { type DiagonalOptions, diagonal, ravel } from './arrange.js';
import { einsum } from './einsum.js';
import { matmul, multiply, subtract } from './math.js';
import { float, type Operand, oneAxis, tensor, unify } from './operands.js';
import { sum } from './reduce.js';
import { at, expandDims, reshapeDims, stack } from './shape.js';

// Products of vectors, matrices and tensors by numpy's rules.

/** Vectors: the inner product; matrices: the matrix product; else over the last axis of a and the last but one of b. */
export function dot(a: Operand, b: Operand): Tensor {
  const [left, right] = unify(a, b).map(tensor) as [Tensor, Tensor];
  if (left.rank === 0 || right.rank === 0) return multiply(left, right);
  if (right.rank <= 2) return left.rank === 1 && right.rank === 1 ? sum(multiply(left, right)) : matmul(left, right);
  return tensordot(left, right, [[left.rank - 1], [right.rank - 2]]);
}

/** Sums over pairs of axes: the last `axes` of a with the first of b, or those listed for each. */
export function tensordot(
  a: Operand,
  b: Operand,
  axes: number | readonly [number | readonly number[], number | readonly number[]] = 2,
): Tensor {
  const [left, right] = [tensor(a), tensor(b)];
  const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
  const lists =
    typeof axes === 'number'
      ? [range(left.rank - axes, axes), range(0, axes)]
      : [
          [axes[0]].flat().map((axis) => oneAxis('tensordot', left, axis)),
          [axes[1]].flat().map((axis) => oneAxis('tensordot', right, axis)),
        ];
  const [over, with_] = lists as [number[], number[]];
  if (over.length !== with_.length)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `tensordot: ${over.length} axes of a cannot be summed with ${with_.length} of b.`,
    );
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const first = left.dims.map((_, i) => letters[i]!);
  const second = right.dims.map((_, i) => letters[left.rank + i]!);
  over.forEach((axis, i) => {
    second[with_[i]!] = first[axis]!;
  });
  const output = [...first.filter((_, i) => !over.includes(i)), ...second.filter((_, i) => !with_.includes(i))];
  return einsum(`${first.join('')},${second.join('')}->${output.join('')}`, left, right);
}

/** All products of an element of a with one of b: [size of a, size of b]. */
export const outer = (a: Operand, b: Operand): Tensor => multiply(expandDims(ravel(a), 1), expandDims(ravel(b), 0));

/** Sums over the last axis of both. */
export function inner(a: Operand, b: Operand): Tensor {
  const [left, right] = [tensor(a), tensor(b)];
  if (left.rank === 0 || right.rank === 0) return multiply(left, right);
  return tensordot(left, right, [[left.rank - 1], [right.rank - 1]]);
}

/** The inner product of all elements. */
export const vdot = (a: Operand, b: Operand): Tensor => sum(multiply(ravel(a), ravel(b)));

/** The vector product along the last axis, of 3 (or 2) elements. */
export function cross(a: Operand, b: Operand): Tensor {
  const [left, right] = [float(a), float(b)];
  const sizes = [left.dims.at(-1)!, right.dims.at(-1)!];
  if (!sizes.every((size) => size === 2 || size === 3))
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `cross: the last axes must have 2 or 3 elements, got ${shapeText(left.shape)} and ${shapeText(right.shape)}.`,
    );
  const part = (x: Tensor, i: number): Operand => (i < x.dims.at(-1)! ? at(x, i, -1) : 0);
  const component = (i: number, j: number): Tensor =>
    subtract(multiply(part(left, i), part(right, j)), multiply(part(left, j), part(right, i)));
  if (sizes[0] === 2 && sizes[1] === 2) return component(0, 1);
  return stack([component(1, 2), component(2, 0), component(0, 1)], -1);
}

/** The Kronecker product of two tensors of the same rank. */
export function kron(a: Operand, b: Operand): Tensor {
  let [left, right] = [tensor(a), tensor(b)];
  while (left.rank < right.rank) left = expandDims(left, 0);
  while (right.rank < left.rank) right = expandDims(right, 0);
  const wide = (x: Tensor, own: 0 | 1): Tensor =>
    reshapeDims(
      x,
      x.dims.flatMap((dim) => (own === 0 ? [dim, 1] : [1, dim])),
    );
  const product = multiply(wide(left, 0), wide(right, 1));
  return reshapeDims(
    product,
    left.dims.map((dim, i) => dim * right.dims[i]!),
  );
}

/** The sum of a diagonal. */
export const trace = (x: Operand, options: DiagonalOptions = {}): Tensor => sum(diagonal(x, options), { axis: -1 });
