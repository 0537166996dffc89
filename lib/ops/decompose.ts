import { ChainruleError } from '../errors.js';
import { emit, emitParts } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { swapaxes } from './arrange.js';
import { divide, greater, matmul, multiply, where } from './math.js';
import { float, type Operand } from './operands.js';
import { max } from './reduce.js';
import { expandDims, squeeze } from './shape.js';

// Equations and factorisations of matrices [..., rows, columns] (https://keras.io/api/ops/linalg/).

/** x with a · x = b, for square a; b may be one vector. */
export function solve(a: Operand, b: Operand): Tensor {
  const [left, right] = [float(a), float(b)];
  if (right.rank !== left.rank - 1) return emit('solve', [left, right]);
  return squeeze(emit('solve', [left, expandDims(right, -1)]), -1);
}

export const inv = (x: Operand): Tensor => emit('inverse', [float(x)]);
export const det = (x: Operand): Tensor => emitParts('determinant', [float(x)])[0]!;
/** The logarithm of the determinant's size. */
export const logdet = (x: Operand): Tensor => emitParts('determinant', [float(x)])[1]!;

/** The determinant's sign and the logarithm of its size. */
export function slogdet(x: Operand): { sign: Tensor; logabsdet: Tensor } {
  const [, size, sign] = emitParts('determinant', [float(x)]);
  return { sign: sign!, logabsdet: size! };
}

/** The lower triangle L with L · Lᵀ = x, for symmetric positive definite x. */
export const cholesky = (x: Operand): Tensor => emit('cholesky', [float(x)]);

/** Q with orthonormal columns and an upper triangle R whose product is x. No gradient. */
export function qr(x: Operand): { q: Tensor; r: Tensor } {
  const [q, r] = emitParts('qr', [float(x)]);
  return { q: q!, r: r! };
}

/** U · diag(s) · Vᵀ = x, with as many columns as the shorter side has. No gradient. */
export function svd(x: Operand): { u: Tensor; s: Tensor; vt: Tensor } {
  const [s, u, v] = emitParts('svd', [float(x)]);
  return { u: u!, s: s!, vt: swapaxes(v!, -1, -2) };
}

/**
 * The shortest x that minimises ‖a · x − b‖. Singular values below `rcond` times the largest (by default the rounding error of
 * the longer side) count as 0.
 */
export function lstsq(a: Operand, b: Operand, { rcond }: { rcond?: number } = {}): Tensor {
  const [left, given] = [float(a), float(b)];
  if (left.rank !== 2 || left.dims[0] !== given.dims[0])
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `lstsq: a matrix and right sides of as many rows are expected, got ${shapeText(left.shape)} and ${shapeText(given.shape)}.`,
    );
  const right = given.rank === 1 ? expandDims(given, -1) : given;
  const { u, s, vt } = svd(left);
  const limit = multiply(max(s), rcond ?? 2 ** -23 * Math.max(...left.dims));
  const kept = greater(s, limit);
  const inverse = where(kept, divide(1, where(kept, s, 1)), 0);
  const scaled = multiply(matmul(u, right, { transposeA: true }), expandDims(inverse, -1));
  const x = matmul(vt, scaled, { transposeA: true });
  return given.rank === 1 ? squeeze(x, -1) : x;
}
