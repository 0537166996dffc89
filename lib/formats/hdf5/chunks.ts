import { promisify } from 'node:util';
import type * as zlib from 'node:zlib';
import { pause } from '../pause.js';
import type { FileBytes } from './bytes.js';
import { fletcher32 } from './checksum.js';
import { elements } from './datatype.js';
import type { Chunk, Filter, Layout } from './layout.js';

/** Unpacks all chunks into one array of bytes in row-major order; elements of chunks that were never written are 0. */
export async function unpackChunks(
  file: FileBytes,
  { chunkShape, chunks }: Layout & { kind: 'chunked' },
  filters: readonly Filter[],
  shape: readonly number[],
  elementSize: number,
): Promise<Uint8Array> {
  const stored = chunks.reduce((total, { size }) => total + size, 0);
  const total = elements(shape) * elementSize;
  if (total > 1000 * stored + 65_536)
    throw file.broken(`a dataset of ${total} bytes has only ${stored} bytes in the file`);
  const result = new Uint8Array(total);
  const chunkBytes = elements(chunkShape) * elementSize;
  for (const chunk of chunks) {
    const raw = file.at(chunk.address, chunk.size, 'a chunk of a dataset').bytes(chunk.size);
    const data = await unfilter(file, raw, filters, chunk, chunkBytes, elementSize);
    if (data.length !== chunkBytes) throw file.broken(`a chunk of ${chunkBytes} bytes holds ${data.length}`);
    await place(result, shape, data, chunkShape, chunk.offset, elementSize);
    await pause();
  }
  return result;
}

/** Undoes the filters, last first. */
async function unfilter(
  file: FileBytes,
  raw: Uint8Array,
  filters: readonly Filter[],
  chunk: Chunk,
  chunkBytes: number,
  elementSize: number,
): Promise<Uint8Array> {
  let data = raw;
  for (let i = filters.length - 1; i >= 0; i--) {
    if (chunk.skipped & (1 << i)) continue;
    const { id, values } = filters[i]!;
    if (id === 1) data = await inflated(file, data, chunkBytes);
    else if (id === 2) data = await unshuffle(data, values[0] ?? elementSize);
    else data = checked(file, data);
  }
  return data;
}

async function inflated(file: FileBytes, data: Uint8Array, chunkBytes: number): Promise<Uint8Array> {
  const { inflate } = require('node:zlib') as typeof zlib; // not before: starts do without
  try {
    // A checksum may stand behind the data of an inner filter.
    return await promisify(inflate)(data, { maxOutputLength: chunkBytes + 4 });
  } catch (error) {
    throw file.broken(`a chunk cannot be unpacked (${(error as Error).message})`);
  }
}

/** Byte k of all elements stands together: puts the elements together again. */
async function unshuffle(data: Uint8Array, size: number): Promise<Uint8Array> {
  if (size <= 1) return data;
  const count = Math.floor(data.length / size);
  const result = new Uint8Array(data.length);
  for (let k = 0; k < size; k++) {
    for (let i = 0; i < count; ) {
      for (const stop = Math.min(count, i + 500_000); i < stop; i++) result[i * size + k] = data[k * count + i]!;
      await pause();
    }
  }
  result.set(data.subarray(count * size), count * size);
  return result;
}

function checked(file: FileBytes, data: Uint8Array): Uint8Array {
  if (data.length < 4) throw file.broken('a chunk is too short for its checksum');
  const content = data.subarray(0, data.length - 4);
  const stored = new DataView(data.buffer, data.byteOffset + content.length, 4).getUint32(0, true);
  if (fletcher32(content) !== stored) throw file.broken('a chunk has a wrong checksum');
  return content;
}

/** Copies a chunk's rows to their places; chunks at the upper ends reach beyond the dataset. */
async function place(
  result: Uint8Array,
  shape: readonly number[],
  data: Uint8Array,
  chunkShape: readonly number[],
  offset: readonly number[],
  elementSize: number,
): Promise<void> {
  const last = shape.length - 1;
  const size = chunkShape.map((dim, axis) => Math.min(dim, shape[axis]! - offset[axis]!));
  const row = size[last]! * elementSize;
  const rows = elements(size.slice(0, last));
  const index = size.slice(0, last).fill(0);
  for (let i = 0; i < rows; i++) {
    let from = 0;
    let to = 0;
    for (let axis = 0; axis < last; axis++) {
      from = (from + index[axis]!) * chunkShape[axis + 1]!;
      to = (to + offset[axis]! + index[axis]!) * shape[axis + 1]!;
    }
    result.set(data.subarray(from * elementSize, from * elementSize + row), (to + offset[last]!) * elementSize);
    for (let axis = last - 1; axis >= 0 && ++index[axis]! === size[axis]!; axis--) index[axis] = 0;
    if (i % 4096 === 4095) await pause();
  }
}
