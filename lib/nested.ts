import { setImmediate } from 'node:timers/promises';
import { ChainruleError } from './errors.js';
import type { DType, NativeArray } from './native.js';
import {
  type AnyArray,
  type ArrayInput,
  allocate,
  computeDtype,
  isPresent,
  isTypedArray,
  NDArray,
  shapeText,
  sizeOf,
  type TypedArray,
} from './ndarray.js';

export interface ConvertOptions {
  /** Stands in messages: `x`, `y`. */
  name?: string;
  /** Accept NaN and Infinity (default false). */
  allowNonFinite?: boolean;
  dtype?: DType;
}

/** How long the event loop may wait for a piece of a large conversion, in milliseconds. */
const slice = 2;

/** Converts nested or typed arrays at once; fine for what a request carries. */
export function fromNested(value: ArrayInput, options: ConvertOptions = {}): AnyArray {
  const work = convert(value, options);
  let step = work.next();
  while (!step.done) step = work.next();
  return step.value;
}

/** As fromNested, in pieces of about 2 ms between which other callbacks run. */
export async function fromNestedAsync(value: ArrayInput, options: ConvertOptions = {}): Promise<AnyArray> {
  const work = convert(value, options);
  let started = performance.now();
  for (let step = work.next(); ; step = work.next()) {
    if (step.done) return step.value;
    if (performance.now() - started < slice) continue;
    await setImmediate();
    started = performance.now();
  }
}

/** Yields now and then, so that the caller may let others run. */
function* convert(value: ArrayInput, options: ConvertOptions): Generator<undefined, AnyArray> {
  if (options.dtype === 'int8') return yield* toInt8(value, options);
  if (value instanceof NDArray) {
    const dtype = options.dtype ?? computeDtype(value.dtype);
    return dtype === value.dtype ? value : yield* cast(value.data, value.shape, { ...options, dtype });
  }
  if (isTypedArray(value)) return yield* cast(value, [value.length], options);
  if (typeof value === 'string') throw notANumber(value, [], options);
  const { shape, boolean } = shapeOf(value, options);
  const dtype = options.dtype ?? (boolean ? 'bool' : 'float32');
  const data = allocate(dtype, sizeOf(shape));
  let at = 0;
  let sinceYield = 0;
  const path: number[] = [];
  function* fill(item: unknown, axis: number): Generator<undefined, void> {
    if (axis === shape.length) {
      if (typeof item !== 'number' && typeof item !== 'boolean' && typeof item !== 'bigint')
        throw notANumber(item, path, options);
      if (!options.allowNonFinite && !Number.isFinite(Number(item))) throw notFinite(Number(item), path, options);
      data[at++] = Number(item);
      return;
    }
    const length = isTypedArray(item) || Array.isArray(item) ? item.length : -1;
    if (length !== shape[axis] || (isTypedArray(item) && axis + 1 < shape.length))
      throw ragged(item, path, shape, options);
    const items = item as ArrayLike<unknown>;
    for (let i = 0; i < length; i++) {
      path[axis] = i;
      // The innermost level is a plain loop: a generator per number would be slow.
      if (axis + 1 === shape.length && typeof items[i] === 'number' && Number.isFinite(items[i] as number))
        data[at++] = items[i] as number;
      else yield* fill(items[i], axis + 1);
    }
    path.length = axis;
    if ((sinceYield += length) > 2048) {
      sinceYield = 0;
      yield;
    }
  }
  yield* fill(value, 0);
  return new NDArray(data, shape, dtype);
}

function shapeOf(value: unknown, options: ConvertOptions): { shape: number[]; boolean: boolean } {
  const shape: number[] = [];
  let item = value;
  while (Array.isArray(item) || isTypedArray(item)) {
    shape.push(item.length);
    if (shape.length > 8)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `${options.name ?? 'input'}: nested more than 8 levels deep; a tensor has at most 8 dimensions.`,
      );
    item = Array.isArray(item) ? (item.find(isPresent) ?? item[0]) : item[0];
  }
  return { shape, boolean: typeof item === 'boolean' };
}

/** The engine knows few dtypes; others are converted here, with 64-bit integers checked for their range. */
function* cast(data: TypedArray, shape: readonly number[], options: ConvertOptions): Generator<undefined, AnyArray> {
  const own = ownDtype(data);
  const dtype = options.dtype ?? own ?? (data instanceof Float64Array ? 'float32' : 'int32');
  if (own === dtype) return new NDArray(data as NativeArray, shape, dtype);
  if (data instanceof Uint8ClampedArray && dtype === 'uint8') {
    return new NDArray(new Uint8Array(data.buffer, data.byteOffset, data.length), shape, dtype);
  }
  const result = allocate(dtype, data.length);
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  const limit = dtype === 'int32' ? 2 ** 31 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const number = Number(data[i]);
    if (wide && !(number >= -limit && number < limit)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_INPUT',
        `${options.name ?? 'input'}: element ${i} is ${data[i]}, which does not fit into int32; the engine has no 64-bit integers.`,
      );
    }
    result[i] = number;
    if ((i & 0xffff) === 0xffff) yield;
  }
  return new NDArray(result, shape, dtype);
}

/** Weights of quantized layers: whole numbers within -127..127, which is what products of int8 take. */
function* toInt8(value: ArrayInput, options: ConvertOptions): Generator<undefined, AnyArray> {
  const given = value instanceof NDArray ? value.data : value;
  const whole = given instanceof Int8Array;
  const shape = value instanceof NDArray ? value.shape : [(value as TypedArray).length];
  const array = whole ? new NDArray(given, shape, 'int8') : yield* convert(value, { ...options, dtype: 'float32' });
  const data: Int8Array = whole ? given : new Int8Array(array.size);
  for (let i = 0; i < data.length; i++) {
    const number = array.data[i]!;
    if (!Number.isInteger(number) || Math.abs(number) > 127)
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `variable "${options.name ?? 'input'}" holds int8, whole numbers within -127..127, but element ${i} is ${number}. Write float32 weights into the float32 model and quantize it.`,
        { details: { value: number } },
      );
    if (!whole) data[i] = number;
    if ((i & 0xffff) === 0xffff) yield;
  }
  return whole ? array : new NDArray(data, array.shape, 'int8');
}

function ownDtype(data: TypedArray): DType | undefined {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint32Array) return 'uint32';
  return data instanceof Uint8Array ? 'uint8' : undefined;
}

function place(path: readonly number[]): string {
  if (path.length === 0) return '';
  return path.length === 1 ? `row ${path[0]}` : `row ${path[0]}, column ${path.slice(1).join(', ')}`;
}

function ragged(
  item: unknown,
  path: readonly number[],
  shape: readonly number[],
  options: ConvertOptions,
): ChainruleError {
  if (typeof item === 'string' || !isPresent(item)) return notANumber(item, path, options);
  const length =
    isTypedArray(item) || Array.isArray(item) ? `${item.length} values` : `the single value ${String(item)}`;
  const text = `${options.name ?? 'input'}: ${place(path)} has ${length} where the rows before it have ${shape[path.length]}. Nested arrays must be rectangular: pad or cut the row.`;
  return new ChainruleError('ERR_CHAINRULE_SHAPE', text, { details: { path: [...path], expected: [...shape] } });
}

function notANumber(item: unknown, path: readonly number[], options: ConvertOptions): ChainruleError {
  if (!isPresent(item)) {
    const where = `${options.name ?? 'input'}: ${place(path) || 'the value'}`;
    return new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${where} is ${item}, a missing value. Fill it in (the mean of its column, 0, …) or drop the row.`,
      { details: { path: [...path] } },
    );
  }
  const what =
    typeof item === 'string'
      ? `the string "${item.slice(0, 40)}"`
      : Array.isArray(item)
        ? `an array ${shapeText([item.length])}`
        : String(item);
  const text = `${options.name ?? 'input'}: ${place(path) || 'the value'} is ${what}, a number is expected. Convert it first (for categories: a number per category).`;
  return new ChainruleError('ERR_CHAINRULE_INPUT', text, { details: { path: [...path] } });
}

/** The message for NaN and Infinity in inputs; `path` is the place, row first. */
export function notFinite(item: number, path: readonly number[], options: ConvertOptions): ChainruleError {
  const text = `${options.name ?? 'input'}: ${place(path) || 'the value'} is ${item}. Replace or drop such rows, or pass allowNonFinite: true.`;
  return new ChainruleError('ERR_CHAINRULE_INPUT', text, { details: { path: [...path], value: item } });
}
