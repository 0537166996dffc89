import { ChainruleError } from '../errors.js';
import type { DType, NativeArray } from '../native.js';
import { type AnyArray, elementBytes, NDArray } from '../ndarray.js';
import { narrowBfloat16, widenBfloat16 } from './bfloat16.js';

/** Arrays by name, with text about them. Those of bfloat16 hold numbers that it holds exactly. */
export interface TensorFile {
  tensors: Map<string, AnyArray>;
  metadata: Map<string, string>;
}

const names: Record<DType, string> = {
  float32: 'F32',
  int32: 'I32',
  uint8: 'U8',
  bool: 'BOOL',
  uint32: 'U32',
  int8: 'I8',
  bfloat16: 'BF16',
};
const readers: Record<string, { dtype: DType; size: number; read: (bytes: ArrayBuffer) => NativeArray }> = {
  F32: { dtype: 'float32', size: 4, read: (bytes) => new Float32Array(bytes) },
  I32: { dtype: 'int32', size: 4, read: (bytes) => new Int32Array(bytes) },
  U32: { dtype: 'uint32', size: 4, read: (bytes) => new Uint32Array(bytes) },
  U8: { dtype: 'uint8', size: 1, read: (bytes) => new Uint8Array(bytes) },
  I8: { dtype: 'int8', size: 1, read: (bytes) => new Int8Array(bytes) },
  BF16: { dtype: 'bfloat16', size: 2, read: (bytes) => widenBfloat16(new Uint16Array(bytes)) },
  BOOL: { dtype: 'bool', size: 1, read: (bytes) => new Uint8Array(bytes) },
  F64: { dtype: 'float32', size: 8, read: (bytes) => Float32Array.from(new Float64Array(bytes)) },
  I64: { dtype: 'int32', size: 8, read: (bytes) => Int32Array.from(new BigInt64Array(bytes), toInt32) },
};
const sizes: Record<string, number> = { F16: 2, I16: 2, U16: 2, U64: 8, F8_E4M3: 1, F8_E5M2: 1 };
const maxHeader = 100_000_000;

/** The bytes of a safetensors file, data starting at a multiple of 64. */
export function writeSafetensors({ tensors, metadata }: TensorFile): Uint8Array {
  const header: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  if (metadata.size > 0) header.__metadata__ = Object.fromEntries(metadata);
  let offset = 0;
  for (const [name, { size, shape, dtype }] of tensors) {
    header[name] = { dtype: names[dtype], shape, data_offsets: [offset, (offset += size * elementBytes(dtype))] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil((json.length + 8) / 64) * 64 - 8;
  const file = new Uint8Array(8 + padded + offset).fill(0x20, 8, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(json, 8);
  let at = 8 + padded;
  for (const { data: numbers, dtype } of tensors.values()) {
    const data = dtype === 'bfloat16' ? narrowBfloat16(numbers as Float32Array) : numbers;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

/** Reads a safetensors file with the checks of its reference implementation; anything foreign is ERR_CHAINRULE_FORMAT. */
export function readSafetensors(file: Uint8Array, label = 'safetensors file'): TensorFile {
  const broken = (what: string): ChainruleError =>
    new ChainruleError('ERR_CHAINRULE_FORMAT', `${label}: ${what}. It is truncated or no safetensors file.`);
  if (file.length < 8) throw broken(`${file.length} bytes are too few for a header`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeader)) throw broken(`the header claims ${length} bytes`);
  const start = 8 + Number(length);
  if (start > file.length) throw broken(`the header claims ${length} bytes of a file of ${file.length}`);
  const { entries, metadata } = readHeader(file.subarray(8, start), broken);
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  const tensors = new Map<string, AnyArray>();
  for (const { name, dtype, shape, begin, end } of entries) {
    if (begin !== at) throw broken(`tensor "${name}" starts at ${begin}, not at ${at} behind the one before`);
    at = end;
    if (start + end > file.length) throw broken(`tensor "${name}" ends at byte ${start + end} of ${file.length}`);
    const reader = readers[dtype];
    const size = reader?.size ?? sizes[dtype];
    if (size === undefined) throw broken(`tensor "${name}" has the unknown dtype "${dtype}"`);
    const count = shape.reduce((product, dim) => product * dim, 1);
    if (!Number.isSafeInteger(count * size) || count * size !== end - begin)
      throw broken(`tensor "${name}" of shape [${shape.join(', ')}] does not fill its ${end - begin} bytes`);
    if (!reader)
      throw new ChainruleError(
        'ERR_CHAINRULE_FORMAT',
        `${label}: tensor "${name}" has dtype ${dtype}, which is not supported; convert it to F32 first.`,
      );
    // A copy, so that the data is aligned whatever the offset. (A Buffer's own slice would be a view.)
    const bytes = Uint8Array.prototype.slice.call(file, start + begin, start + end).buffer as ArrayBuffer;
    tensors.set(name, new NDArray(reader.read(bytes), shape, reader.dtype));
  }
  if (start + at !== file.length) throw broken(`${file.length - start - at} bytes follow the last tensor`);
  return { tensors, metadata };
}

type Broken = (what: string) => ChainruleError;

function readHeader(bytes: Uint8Array, broken: Broken): { entries: Entry[]; metadata: Map<string, string> } {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw broken('the header is not UTF-8');
  }
  if (!text.startsWith('{')) throw broken('the header is no JSON object');
  try {
    header = JSON.parse(text);
  } catch {
    throw broken('the header is no valid JSON');
  }
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw broken(`the name "${duplicate}" occurs twice`);
  const entries: Entry[] = [];
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header as object)) {
    if (name === '__metadata__') {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw broken('__metadata__ is no object');
      for (const [key, item] of Object.entries(value as object)) {
        if (typeof item !== 'string') throw broken(`__metadata__ "${key}" is no text`);
        metadata.set(key, item);
      }
    } else entries.push(readEntry(name, value, broken));
  }
  return { entries, metadata };
}

function readEntry(name: string, value: unknown, broken: Broken): Entry {
  const isSize = (item: unknown): item is number => Number.isSafeInteger(item) && (item as number) >= 0;
  if (typeof value !== 'object' || value === null) throw broken(`tensor "${name}" is no object`);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string') throw broken(`tensor "${name}" has no dtype`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw broken(`tensor "${name}" has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0]! > offsets[1]!)
    throw broken(`tensor "${name}" has no valid data_offsets`);
  return { name, dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

/** A key that an object of the text holds twice: JSON.parse keeps the last without a word. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | null)[] = [];
  let expectsKey = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{') {
      open.push(new Set());
      expectsKey = true;
    } else if (c === '[') {
      open.push(null);
      expectsKey = false;
    } else if (c === '}' || c === ']') {
      open.pop();
      expectsKey = false;
    } else if (c === ',') expectsKey = open.at(-1) instanceof Set;
    else if (c === ':') expectsKey = false;
    else if (c === '"') {
      const begin = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
      if (!expectsKey) continue;
      const key = JSON.parse(text.slice(begin, i + 1)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function toInt32(value: bigint): number {
  const number = Number(value);
  if (number >= -(2 ** 31) && number < 2 ** 31) return number;
  throw new ChainruleError(
    'ERR_CHAINRULE_FORMAT',
    `safetensors file: the 64-bit integer ${value} does not fit into int32.`,
  );
}
