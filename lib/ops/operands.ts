import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import { Dimension, isSymbolic, Tensor } from '../graph/tensor.js';
import { type Operand, Scalar } from '../graph/trace.js';
import { Variable } from '../graph/variable.js';
import type { DType } from '../native.js';
import { computeDtype, NDArray, shapeText } from '../ndarray.js';
import { fromNested } from '../nested.js';

/** A tensor, a variable (its current value), the batch size, a number or an array. */
export type { Operand };
/** A shape to make: `null` and a Dimension are the batch size. */
export type ShapeInput = readonly (number | null | Dimension)[];
export type Axis = number | readonly number[] | undefined;

const order: readonly DType[] = ['bool', 'uint8', 'uint32', 'int32', 'float32'];

function wider(a: DType, b: DType): DType {
  return order[Math.max(order.indexOf(a), order.indexOf(b))]!;
}

/** The dtype that an operand brings along; a plain number has none and takes the other's. */
function dtypeOf(operand: Operand): DType | undefined {
  if (operand instanceof Tensor || operand instanceof Scalar) return operand.dtype;
  // What is stored as bfloat16 is read as float32.
  if (operand instanceof Variable || operand instanceof NDArray) return computeDtype(operand.dtype);
  return operand instanceof Dimension ? 'int32' : typeof operand === 'boolean' ? 'bool' : undefined;
}

/** Arrays become NDArrays, so that their dtype and shape are known. */
function known(operand: Operand): Operand {
  const plain = typeof operand === 'number' || typeof operand === 'boolean';
  return plain || dtypeOf(operand) !== undefined ? operand : fromNested(operand as NDArray, { allowNonFinite: true });
}

/** Casts both operands to their common dtype, as numpy would; numbers adapt to the tensor. */
export function unify(a: Operand, b: Operand, atLeast?: DType): [Operand, Operand] {
  const [left, right] = [known(a), known(b)];
  const dtypes = [dtypeOf(left), dtypeOf(right)].filter((dtype) => dtype !== undefined).map(computeDtype);
  let target = dtypes.length === 0 ? 'float32' : dtypes.reduce(wider);
  for (const operand of [left, right]) {
    if (typeof operand === 'number')
      target = wider(target, Number.isInteger(operand) ? (target === 'bool' ? 'int32' : target) : 'float32');
  }
  if (atLeast) target = wider(target, atLeast);
  return [to(left, target), to(right, target)];
}

function to(operand: Operand, dtype: DType): Operand {
  if (typeof operand === 'number') return new Scalar(operand, dtype);
  const from = dtypeOf(operand);
  return from === dtype || (from && computeDtype(from) === dtype) ? operand : cast(operand, dtype);
}

/**
 * Converts the dtype; floats are cut towards zero when they become integers. bfloat16 is for storage: float32 is rounded
 * to the nearest, halves to even, and what computes with the result takes it as float32 again.
 */
export function cast(x: Operand, dtype: DType): Tensor {
  // Other dtypes go through float32, as numbers do.
  if (dtype === 'bfloat16' && !(x instanceof Tensor && x.dtype === dtype))
    return emit('cast', [cast(x, 'float32')], { dtype });
  const operand = typeof x === 'number' ? new Scalar(x, dtype) : known(x);
  if (operand instanceof Tensor && operand.dtype === dtype) return operand;
  const from = dtypeOf(operand);
  // A float loses all but its low byte only where it is stored as uint8; an integer loses them at once, so that whoever
  // reads the result reads the same number.
  if (dtype === 'uint8' && from === 'float32')
    return emit('cast', [emit('cast', [operand], { dtype: 'int32' })], { dtype });
  const same = from === dtype;
  // An identity reshape would do as well; a cast to the same dtype is dropped by the engine.
  return same ? tensor(operand) : emit('cast', [operand], { dtype });
}

/** Any operand as a tensor of the active trace (or as the symbolic tensor that it is). */
export function tensor(x: Operand): Tensor {
  // What is recorded of a symbolic tensor takes it as float32 when it is traced.
  if (x instanceof Tensor) return x.dtype === 'bfloat16' && !isSymbolic(x) ? cast(x, 'float32') : x;
  if (x instanceof Variable) return x.read();
  const operand = known(x);
  const dtype = dtypeOf(operand) ?? 'float32';
  return emit('cast', [typeof operand === 'number' ? new Scalar(operand, dtype) : operand], { dtype });
}

export function isOperand(value: unknown): value is Operand {
  return (
    value instanceof Tensor ||
    value instanceof Variable ||
    value instanceof NDArray ||
    value instanceof Dimension ||
    typeof value === 'number'
  );
}

/** As tensor, in float32: for ops that are defined on floats only. */
export function float(x: Operand): Tensor {
  return x instanceof Tensor && x.dtype === 'bfloat16' ? tensor(x) : cast(x, 'float32');
}

export function unary(op: string, x: Operand): Tensor {
  return emit(op, [tensor(x)]);
}

/** A unary op on floats: integers are converted first, as Keras does. */
export function floatUnary(op: string, x: Operand): Tensor {
  return emit(op, [float(x)]);
}

export function binary(op: string, a: Operand, b: Operand, atLeast?: DType): Tensor {
  return emit(op, unify(a, b, atLeast));
}

/** A negative axis counts from the end. */
export function oneAxis(op: string, x: Tensor, axis: number): number {
  const result = axis < 0 ? axis + x.rank : axis;
  if (Number.isInteger(result) && result >= 0 && result < x.rank) return result;
  throw new ChainruleError('ERR_CHAINRULE_SHAPE', `${op}: axis ${axis} does not exist in shape ${shapeText(x.shape)}.`);
}

/** Axes to reduce over; none given means all. */
export function axes(op: string, x: Tensor, axis: Axis): number[] {
  if (axis === undefined) return x.dims.map((_, i) => i);
  const list = typeof axis === 'number' ? [axis] : axis;
  return [...new Set(list.map((one) => oneAxis(op, x, one)))].sort((a, b) => a - b);
}

/** A shape in the border's code: -k stands for k·N. */
export function encodeShape(op: string, shape: ShapeInput): number[] {
  return shape.map((dim) => {
    if (dim === null) return -1;
    if (dim instanceof Dimension) return -dim.factor;
    if (Number.isInteger(dim) && dim >= 0) return dim;
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `${op}: ${String(dim)} is not a dimension; expected an integer >= 0, null or ops.shape(x)[0] for the batch.`,
    );
  });
}
