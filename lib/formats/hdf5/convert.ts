import { pause } from '../pause.js';

export type NumericKind =
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool';

/** Numbers with the dtype that the library computes with. */
export type NumericArray =
  | { dtype: 'float32'; data: Float32Array }
  | { dtype: 'int32'; data: Int32Array }
  | { dtype: 'uint32'; data: Uint32Array }
  | { dtype: 'uint8'; data: Uint8Array }
  | { dtype: 'int8'; data: Int8Array }
  | { dtype: 'bool'; data: Uint8Array };

const slice = 250_000;

/** Little-endian bytes as numbers: without a copy where they are aligned and of a dtype of ours, else in slices. */
export async function convert(
  bytes: Uint8Array,
  kind: NumericKind,
  broken: (what: string) => Error,
): Promise<NumericArray> {
  const aligned = (size: number): boolean => bytes.byteOffset % size === 0;
  const own = bytes.buffer as ArrayBuffer;
  switch (kind) {
    case 'uint8':
      return { dtype: 'uint8', data: bytes };
    case 'bool':
      return { dtype: 'bool', data: bytes };
    case 'int8':
      return { dtype: 'int8', data: new Int8Array(own, bytes.byteOffset, bytes.length) };
    case 'float32':
      if (aligned(4)) return { dtype: 'float32', data: new Float32Array(own, bytes.byteOffset, bytes.length / 4) };
      break;
    case 'int32':
      if (aligned(4)) return { dtype: 'int32', data: new Int32Array(own, bytes.byteOffset, bytes.length / 4) };
      break;
    case 'uint32':
      if (aligned(4)) return { dtype: 'uint32', data: new Uint32Array(own, bytes.byteOffset, bytes.length / 4) };
      break;
  }
  const view = new DataView(own, bytes.byteOffset, bytes.byteLength);
  const fill = async <A extends Float32Array | Int32Array | Uint32Array>(
    make: (count: number) => A,
    size: number,
    read: (at: number) => number,
  ): Promise<A> => {
    const data = make(bytes.length / size);
    for (let i = 0; i < data.length; ) {
      for (const stop = Math.min(data.length, i + slice); i < stop; i++) data[i] = read(i * size);
      await pause();
    }
    return data;
  };
  const floats = (size: number, read: (at: number) => number): Promise<Float32Array> =>
    fill((count) => new Float32Array(count), size, read);
  const integers = (size: number, read: (at: number) => number): Promise<Int32Array> =>
    fill((count) => new Int32Array(count), size, read);
  const narrow = (value: bigint): number => {
    const number = Number(value);
    if (number >= -(2 ** 31) && number < 2 ** 31) return number;
    throw broken(`holds ${value}, which does not fit into int32`);
  };
  switch (kind) {
    case 'float16':
      return { dtype: 'float32', data: await floats(2, (at) => half(view.getUint16(at, true))) };
    case 'bfloat16': {
      const word = new DataView(new ArrayBuffer(4));
      const widen = (at: number): number => {
        word.setUint16(2, view.getUint16(at, true), true);
        return word.getFloat32(0, true);
      };
      return { dtype: 'float32', data: await floats(2, widen) };
    }
    case 'float32':
      return { dtype: 'float32', data: await floats(4, (at) => view.getFloat32(at, true)) };
    case 'float64':
      return { dtype: 'float32', data: await floats(8, (at) => view.getFloat64(at, true)) };
    case 'int16':
      return { dtype: 'int32', data: await integers(2, (at) => view.getInt16(at, true)) };
    case 'uint16':
      return { dtype: 'int32', data: await integers(2, (at) => view.getUint16(at, true)) };
    case 'int32':
      return { dtype: 'int32', data: await integers(4, (at) => view.getInt32(at, true)) };
    case 'int64':
      return { dtype: 'int32', data: await integers(8, (at) => narrow(view.getBigInt64(at, true))) };
    case 'uint64':
      return { dtype: 'int32', data: await integers(8, (at) => narrow(view.getBigUint64(at, true))) };
    case 'uint32':
      return {
        dtype: 'uint32',
        data: await fill(
          (n) => new Uint32Array(n),
          4,
          (at) => view.getUint32(at, true),
        ),
      };
  }
  throw broken(`has elements of ${kind}`);
}

/** IEEE 754 binary16 as a number. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
