import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import { Dimension, type Tensor } from '../graph/tensor.js';
import { Scalar } from '../graph/trace.js';
import type { DType } from '../native.js';
import { NDArray, shapeText } from '../ndarray.js';
import { cast, encodeShape, type Operand, oneAxis, type ShapeInput, tensor, unify } from './operands.js';

/** Sizes by axis; the batch is a Dimension, which reshape, zeros and random take and formulas use as a number. */
export function shape(x: Operand): (number | Dimension)[] {
  return tensor(x).dims.map((dim) => (dim < 0 ? new Dimension(-dim) : dim));
}

/** The same elements under another shape; one dimension may be -1 (inferred). */
export function reshape(x: Operand, newShape: ShapeInput): Tensor {
  const value = tensor(x);
  const infer = newShape.indexOf(-1);
  const codes = encodeShape(
    'reshape',
    newShape.map((dim, i) => (i === infer ? 1 : dim)),
  );
  return emit('reshape', [value], { shape: codes, infer });
}

/** Reshapes by dimensions in the border's code, as Tensor.dims holds them. @internal */
export function reshapeDims(x: Tensor, dims: readonly number[]): Tensor {
  return emit('reshape', [x], { shape: [...dims], infer: -1 });
}

export function transpose(x: Operand, perm?: readonly number[]): Tensor {
  const value = tensor(x);
  const order = perm ?? value.dims.map((_, i) => value.rank - 1 - i);
  return emit('transpose', [value], { perm: order.map((axis) => oneAxis('transpose', value, axis)) });
}

export function expandDims(x: Operand, axis: number): Tensor {
  const value = tensor(x);
  const at = axis < 0 ? axis + value.rank + 1 : axis;
  return reshapeDims(value, [...value.dims.slice(0, at), 1, ...value.dims.slice(at)]);
}

/** Drops axes of size 1: the given one, or all. */
export function squeeze(x: Operand, axis?: number): Tensor {
  const value = tensor(x);
  if (axis === undefined)
    return reshapeDims(
      value,
      value.dims.filter((dim) => dim !== 1),
    );
  const at = oneAxis('squeeze', value, axis);
  if (value.dims[at] !== 1)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `squeeze: axis ${axis} of shape ${shapeText(value.shape)} has not size 1.`,
    );
  return reshapeDims(
    value,
    value.dims.filter((_, i) => i !== at),
  );
}

export function broadcastTo(x: Operand, newShape: ShapeInput): Tensor {
  return emit('broadcastTo', [tensor(x)], { shape: encodeShape('broadcastTo', newShape) });
}

export function concatenate(xs: readonly Operand[], axis = -1): Tensor {
  if (xs.length === 0) throw new ChainruleError('ERR_CHAINRULE_SHAPE', 'concatenate: the list of tensors is empty.');
  const values = xs.map(tensor);
  const widest = values.reduce<Operand>((a, b) => unify(a, b)[0], values[0]!) as Tensor;
  const same = values.map((value) => cast(value, widest.dtype));
  return same.length === 1 ? same[0]! : emit('concat', same, { axis: oneAxis('concatenate', same[0]!, axis) });
}

export function stack(xs: readonly Operand[], axis = 0): Tensor {
  const values = xs.map(tensor);
  const at = axis < 0 ? axis + (values[0]?.rank ?? 0) + 1 : axis;
  return concatenate(
    values.map((value) => expandDims(value, at)),
    at,
  );
}

/** Cuts along an axis: a number of equal parts, or the indices at which to cut (numpy's rule). */
export function split(x: Operand, indicesOrSections: number | readonly number[], axis = 0): Tensor[] {
  const value = tensor(x);
  const at = oneAxis('split', value, axis);
  const size = value.dims[at]!;
  if (size < 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      'split: the batch axis cannot be split; its size is known only when the program runs.',
    );
  let cuts: number[];
  if (typeof indicesOrSections === 'number') {
    const sections = indicesOrSections;
    if (!(sections > 0) || size % sections !== 0) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `split: axis ${axis} of shape ${shapeText(value.shape)} does not divide into ${sections} equal parts.`,
      );
    }
    cuts = Array.from({ length: sections - 1 }, (_, i) => (size / sections) * (i + 1));
  } else cuts = [...indicesOrSections];
  const bounds = [0, ...cuts, size];
  return bounds.slice(1).map((end, i) => cut(value, at, bounds[i]!, end - bounds[i]!));
}

function cut(x: Tensor, axis: number, begin: number, size: number, stride = 1): Tensor {
  return emit('slice', [x], { axes: [axis], begin: [begin], size: [size], strides: [stride] });
}

/** A block: the first index and the size along each axis; size -1 goes to the end. The batch axis is taken whole. */
export function slice(x: Operand, start: readonly number[], size: readonly number[]): Tensor {
  let value = tensor(x);
  start.forEach((from, axis) => {
    const dim = value.dims[axis]!;
    const begin = from < 0 ? from + dim : from;
    const count = size[axis] === -1 || size[axis] === undefined ? dim - begin : size[axis];
    if (begin === 0 && (count === dim || dim < 0)) return;
    value = cut(value, axis, begin, count);
  });
  return value;
}

/** Elements at an index along an axis, which disappears: `x[:, i]`. */
export function at(x: Operand, index: number, axis = 0): Tensor {
  const value = tensor(x);
  const which = oneAxis('at', value, axis);
  const begin = index < 0 ? index + value.dims[which]! : index;
  return squeeze(cut(value, which, begin, 1), which);
}

/** Every `step`-th element of [start, stop) along an axis, as Python's slices; a negative step goes backwards. */
export function strided(x: Operand, axis: number, start: number, stop: number, step = 1): Tensor {
  const value = tensor(x);
  const count = Math.max(0, Math.ceil((stop - start) / step));
  return cut(value, oneAxis('strided', value, axis), start, count, step);
}

export function flip(x: Operand, axis: number): Tensor {
  const value = tensor(x);
  const which = oneAxis('flip', value, axis);
  return cut(value, which, value.dims[which]! - 1, value.dims[which]!, -1);
}

export interface PadOptions {
  /** What stands around: a constant, the tensor mirrored without or with its edge, or the edge repeated. Default 'constant'. */
  mode?: 'constant' | 'reflect' | 'symmetric' | 'edge';
  /** Default 0. */
  constantValues?: number;
}

/** Surrounds a tensor: [before, after] for each axis. */
export function pad(
  x: Operand,
  padWidth: readonly (readonly [number, number])[],
  { mode = 'constant', constantValues = 0 }: PadOptions = {},
): Tensor {
  const value = tensor(x);
  if (mode === 'constant') return emit('pad', [value], { padding: padWidth.flat(), value: constantValues });
  return padWidth.reduce((result, margins, axis) => mirror(result, axis, margins, mode), value);
}

function mirror(x: Tensor, axis: number, margins: readonly [number, number], mode: string): Tensor {
  const [before, after] = margins;
  if (before === 0 && after === 0) return x;
  const size = x.dims[axis]!;
  const skip = mode === 'reflect' ? 1 : 0;
  const widest = Math.max(before, after);
  if (size < 0 || (mode !== 'edge' && widest > size - skip))
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `pad: mode "${mode}" cannot add ${widest} places to axis ${axis} of shape ${shapeText(x.shape)}.`,
    );
  const side = (count: number, first: number, edge: number): Tensor[] => {
    if (count === 0) return [];
    return [mode === 'edge' ? repeat(cut(x, axis, edge, 1), count, axis) : cut(x, axis, first, count, -1)];
  };
  const left = side(before, before - 1 + skip, 0);
  return concatenate([...left, x, ...side(after, size - 1 - skip, size - 1)], axis);
}

/** Repeats the whole tensor along each axis. */
export function tile(x: Operand, repeats: readonly number[]): Tensor {
  let value = tensor(x);
  while (value.rank < repeats.length) value = expandDims(value, 0);
  const offset = value.rank - repeats.length;
  repeats.forEach((count, i) => {
    if (count !== 1) value = multiplyAxis(value, i + offset, count, 0);
  });
  return value;
}

/** Repeats each element along an axis. */
export function repeat(x: Operand, repeats: number, axis: number): Tensor {
  const value = tensor(x);
  return multiplyAxis(value, oneAxis('repeat', value, axis), repeats, 1);
}

/** Broadcasts along a new axis before (tile) or after (repeat) the given one and merges the two. */
function multiplyAxis(x: Tensor, axis: number, count: number, after: 0 | 1): Tensor {
  const wide = expandDims(x, axis + after);
  const dims = [...wide.dims];
  dims[axis + after] = count;
  const spread = emit('broadcastTo', [wide], { shape: dims });
  return reshapeDims(spread, [...x.dims.slice(0, axis), x.dims[axis]! * count, ...x.dims.slice(axis + 1)]);
}

/** Rows (or slices along another axis) by index. */
export function take(x: Operand, indices: Operand, axis = 0): Tensor {
  const value = tensor(x);
  const which = oneAxis('take', value, axis);
  const rows = cast(indices, 'int32');
  if (which === 0) return emit('gather', [value, rows]);
  const front = [which, ...value.dims.map((_, i) => i).filter((i) => i !== which)];
  const taken = emit('gather', [transpose(value, front), rows]);
  // The indices' axes stand first now and go back to where the axis was.
  const lead = rows.rank;
  const rest = taken.dims.map((_, i) => i).slice(lead);
  return transpose(taken, [
    ...rest.slice(0, which),
    ...taken.dims.map((_, i) => i).slice(0, lead),
    ...rest.slice(which),
  ]);
}

/** 1 at the index, 0 elsewhere, on a new axis (the last by default); indices outside give zeros. */
export function oneHot(indices: Operand, numClasses: number, axis = -1): Tensor {
  const hot = emit('oneHot', [cast(indices, 'int32')], { depth: numClasses });
  const to = axis < 0 ? axis + hot.rank : axis;
  if (to === hot.rank - 1) return hot;
  const order = hot.dims.map((_, i) => i).slice(0, -1);
  order.splice(to, 0, hot.rank - 1);
  return transpose(hot, order);
}

export function full(newShape: ShapeInput, value: number, dtype: DType = 'float32'): Tensor {
  return emit('broadcastTo', [new Scalar(value, dtype)], { shape: encodeShape('full', newShape) });
}

export const zeros = (newShape: ShapeInput, dtype: DType = 'float32'): Tensor => full(newShape, 0, dtype);
export const ones = (newShape: ShapeInput, dtype: DType = 'float32'): Tensor => full(newShape, 1, dtype);
export const fullLike = (x: Operand, value: number): Tensor => like(x, value);
export const zerosLike = (x: Operand): Tensor => like(x, 0);
export const onesLike = (x: Operand): Tensor => like(x, 1);

function like(x: Operand, value: number): Tensor {
  const model = tensor(x);
  return emit('broadcastTo', [new Scalar(value, model.dtype)], { shape: [...model.dims] });
}

/** 0, 1, 2, … along an axis of a shape; int32. */
export function iota(newShape: ShapeInput, axis = 0): Tensor {
  return emit('iota', [], { shape: encodeShape('iota', newShape), axis });
}

/** 0 … n-1, or start … stop (without it) in steps; int32, or float32 where one of them is no integer. */
export function arange(start: number | Dimension, stop?: number, step = 1): Tensor {
  if (start instanceof Dimension) return iota([start]);
  const [first, end] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.max(0, Math.ceil((end - first) / step));
  const dtype: DType = [first, end, step].every(Number.isInteger) ? 'int32' : 'float32';
  const steps = cast(iota([count]), dtype);
  const scaled = step === 1 ? steps : emit('mul', [steps, new Scalar(step, dtype)]);
  return first === 0 ? scaled : emit('add', [scaled, new Scalar(first, dtype)]);
}

/** `num` numbers from start to stop in equal steps, the last one included unless `endpoint` is false. */
export function linspace(
  start: number,
  stop: number,
  num = 50,
  { endpoint = true }: { endpoint?: boolean } = {},
): Tensor {
  const step = (stop - start) / Math.max(endpoint ? num - 1 : num, 1);
  return tensor(new NDArray(Float32Array.from({ length: num }, (_, i) => start + i * step)));
}

/** `num` numbers from base^start to base^stop with equal ratios. */
export function logspace(
  start: number,
  stop: number,
  num = 50,
  { endpoint = true, base = 10 }: { endpoint?: boolean; base?: number } = {},
): Tensor {
  const step = (stop - start) / Math.max(endpoint ? num - 1 : num, 1);
  return tensor(new NDArray(Float32Array.from({ length: num }, (_, i) => base ** (start + i * step))));
}

/** Ones on the diagonal. */
export function eye(n: number, m = n): Tensor {
  return cast(emit('equal', [iota([n, m], 0), iota([n, m], 1)]), 'float32');
}
