import { inspect } from 'node:util';
import { ChainruleError, shown } from './errors.js';
import type { Bound, DType, NativeArray } from './native.js';

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;
/** Rows of rows of numbers; the innermost level may be typed arrays. */
export type NestedArray = number | bigint | boolean | TypedArray | readonly NestedArray[];
/** Whatever counts as an array at the border. */
export type ArrayInput = AnyArray | NestedArray;

const arrayTypes = {
  float32: Float32Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  uint32: Uint32Array,
  int8: Int8Array,
  bfloat16: Float32Array,
};

/** A typed array of the dtype, filled with zeros. */
export function allocate(dtype: DType, size: number): NativeArray {
  return new arrayTypes[dtype](size);
}

/** Bytes that one number of the dtype takes where it is stored. */
export function elementBytes(dtype: DType): number {
  return dtype === 'bfloat16' ? 2 : arrayTypes[dtype].BYTES_PER_ELEMENT;
}

/** What is computed with where numbers of the dtype are stored. */
export function computeDtype(dtype: DType): DType {
  return dtype === 'bfloat16' ? 'float32' : dtype;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** `[2, null, 3]`, as shapes stand in messages. */
export function shapeText(shape: readonly (number | null)[]): string {
  return `[${shape.map((dim) => (dim === null ? 'null' : String(dim))).join(', ')}]`;
}

/** An NDArray of any dtype. */
export type AnyArray = NDArray<NativeArray>;

/** Numbers in row-major order with a shape: what goes into a model and what comes out of it. */
export class NDArray<D extends NativeArray = Float32Array> {
  readonly data: D;
  readonly shape: readonly number[];
  readonly dtype: DType;

  /**
   * `data` is used as it is, not copied; its length must be the product of `shape`. Don't write to it, transfer or resize its
   * buffer while a promise of a call that got it (`fit`, `predict`, …) is pending. What the engine has no dtype for is
   * converted: a Float64Array to float32, 16-bit integers to int32.
   */
  constructor(given: D, shape: readonly number[] = [(given as D | null)?.length ?? 0], dtype?: DType) {
    const own = dtypeOfArray(given);
    const data: D = own === undefined ? converted(given) : given;
    if (!Array.isArray(shape))
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `NDArray: the shape is a list of sizes, like [2, 3], got ${shown(shape)}.`,
      );
    for (const dim of shape) {
      if (!Number.isInteger(dim) || dim < 0) {
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `NDArray: ${shapeText(shape)} is not a shape: every dimension must be an integer >= 0.`,
        );
      }
    }
    if (sizeOf(shape) !== data.length) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `NDArray: ${data.length} numbers don't fill shape ${shapeText(shape)}, which takes ${sizeOf(shape)}.`,
      );
    }
    this.data = data;
    this.shape = shape;
    this.dtype = dtype ?? own ?? dtypeOfArray(data)!;
  }

  get rank(): number {
    return this.shape.length;
  }

  get size(): number {
    return this.data.length;
  }

  /** The element at these indices, one per axis. */
  at(...indices: number[]): number {
    if (indices.length !== this.rank) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `NDArray.at: ${indices.length} indices for shape ${shapeText(this.shape)}.`,
      );
    }
    let offset = 0;
    for (let axis = 0; axis < indices.length; axis++) {
      const dim = this.shape[axis]!;
      const index = indices[axis]! < 0 ? indices[axis]! + dim : indices[axis]!;
      if (!(index >= 0 && index < dim)) {
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `NDArray.at: index ${indices[axis]} is outside axis ${axis} of shape ${shapeText(this.shape)}.`,
        );
      }
      offset = offset * dim + index;
    }
    return this.data[offset]!;
  }

  /** The number of an array with one element. */
  item(): number {
    if (this.size !== 1) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `NDArray.item: shape ${shapeText(this.shape)} holds ${this.size} numbers, not one; use at() or data.`,
      );
    }
    return this.data[0]!;
  }

  /** Rows [begin, end) of axis 0, sharing memory with this array. */
  rows(begin: number, end = this.shape[0] ?? 0): NDArray<D> {
    const width = sizeOf(this.shape.slice(1));
    return new NDArray(
      this.data.subarray(begin * width, end * width) as D,
      [end - begin, ...this.shape.slice(1)],
      this.dtype,
    );
  }

  /** The same numbers under another shape; one dimension may be -1. */
  reshape(shape: readonly number[]): NDArray<D> {
    const known = shape.filter((dim) => dim !== -1).reduce((product, dim) => product * dim, 1);
    return new NDArray(
      this.data,
      shape.map((dim) => (dim === -1 ? this.size / known : dim)),
      this.dtype,
    );
  }

  /** Nested plain arrays (a number for rank 0, booleans for dtype bool). */
  toNested(): unknown {
    const build = (axis: number, offset: number, width: number): unknown => {
      if (axis === this.rank) return this.dtype === 'bool' ? this.data[offset] === 1 : this.data[offset];
      const step = this.shape[axis] === 0 ? 0 : width / this.shape[axis]!;
      return Array.from({ length: this.shape[axis]! }, (_, i) => build(axis + 1, offset + i * step, step));
    };
    return build(0, 0, this.size);
  }

  /** A rank-0 result reads as a number: `${loss}`, `+loss`. */
  [Symbol.toPrimitive](hint: string): number | string {
    if (this.size === 1) return hint === 'string' ? String(this.data[0]) : this.data[0]!;
    if (hint === 'number') this.item();
    return `NDArray ${this.dtype} ${shapeText(this.shape)}`;
  }

  [inspect.custom](): string {
    if (this.rank === 0) return `NDArray ${this.dtype} ${this.data[0]}`;
    const body =
      this.size <= 64 ? inspect(this.toNested(), { breakLength: 100 }) : inspect(this.data, { maxArrayLength: 8 });
    return `NDArray ${this.dtype} ${shapeText(this.shape)} ${body}`;
  }
}

/** Numbers that the engine has no dtype for, in the nearest that it has; what is no list of such numbers is refused. */
function converted<D extends NativeArray>(data: unknown): D {
  switch (isTypedArray(data) ? data[Symbol.toStringTag] : undefined) {
    case 'Uint8ClampedArray': {
      const { buffer, byteOffset, length } = data as Uint8ClampedArray;
      return new Uint8Array(buffer, byteOffset, length) as D;
    }
    case 'Float64Array':
      return Float32Array.from(data as Float64Array) as D;
    case 'Int16Array':
    case 'Uint16Array':
      return Int32Array.from(data as Int16Array) as D;
    default:
      throw wrongData(data);
  }
}

function wrongData(data: unknown): ChainruleError {
  const help =
    isTypedArray(data) || Array.isArray(data)
      ? ' Convert it: Float32Array.from(data, Number), or Int32Array.from(data, Number); nested rows are taken as they are by fit and predict.'
      : '';
  return new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `NDArray: the data is a Float32Array, Int32Array, Uint32Array, Uint8Array or Int8Array, got ${isTypedArray(data) ? `a ${data[Symbol.toStringTag]}` : shown(data)}.${help}`,
  );
}

export function bound(array: AnyArray): Bound {
  return { data: array.data, shape: array.shape };
}

/** The dtype of an array as it is stored, or undefined for one that the engine does not take. */
export function dtypeOfArray(data: unknown): DType | undefined {
  if (data instanceof Float32Array) return 'float32';
  return isTypedArray(data) ? held[data[Symbol.toStringTag]] : undefined;
}

/** By their tags, which are the same in every realm. */
const held: Readonly<Record<string, DType | undefined>> = {
  Float32Array: 'float32',
  Int32Array: 'int32',
  Uint32Array: 'uint32',
  Uint8Array: 'uint8',
  Int8Array: 'int8',
};

export function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** True for what fromNested takes: numbers, typed arrays and nested arrays of them. */
export function isArrayInput(value: unknown): value is ArrayInput {
  if (value instanceof NDArray || isTypedArray(value) || ['number', 'bigint', 'boolean'].includes(typeof value))
    return true;
  if (!Array.isArray(value)) return false;
  // Missing values are refused where the numbers are read, with their place.
  const first = value.find(isPresent);
  if (first instanceof NDArray) return false; // a list of NDArrays is several arrays
  return first === undefined || isArrayInput(first) || typeof first === 'string';
}

/** False for null and undefined, which stand for a missing value in nested rows. */
export function isPresent(value: unknown): boolean {
  return value !== null && value !== undefined;
}
