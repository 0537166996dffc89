import { type Cursor, type FileBytes, undefinedAddress } from './bytes.js';
import { walkTree } from './group.js';
import { type Message, messageType } from './header.js';

/** One stored piece of a chunked dataset. */
export interface Chunk {
  /** Index of its first element on each axis. */
  offset: number[];
  address: number;
  size: number;
  /** Bit i: filter i was left out. */
  skipped: number;
}

export interface Filter {
  id: number;
  values: number[];
}

/** Where the elements of a dataset are. */
export type Layout =
  | { kind: 'contiguous'; address: number; size: number }
  | { kind: 'compact'; data: Uint8Array }
  | { kind: 'chunked'; chunkShape: number[]; chunks: Chunk[] };

const filterNames: Record<number, string> = { 4: 'szip', 5: 'nbit', 6: 'scale-offset', 32000: 'lzf' };

/** Reads the layout message of a dataset of this shape. */
export function readLayout(
  file: FileBytes,
  messages: readonly Message[],
  shape: readonly number[],
  elementSize: number,
): Layout {
  for (const { type } of messages)
    if (type === messageType.externalFiles) throw file.unsupported('a dataset with its data in another file');
  const message = messages.find(({ type }) => type === messageType.layout);
  if (!message) throw file.broken('a dataset has no layout');
  const cursor = message.open();
  const version = cursor.u8();
  if (version < 3 || version > 4) throw file.unsupported(`a dataset with a layout of version ${version}`);
  const kind = cursor.u8();
  switch (kind) {
    case 0:
      return { kind: 'compact', data: cursor.bytes(cursor.u16()) };
    case 1:
      return { kind: 'contiguous', address: cursor.address(), size: cursor.length() };
    case 2:
      return version === 3 ? readTree(file, cursor, shape, elementSize) : readIndex(file, cursor, shape, elementSize);
    case 3:
      throw file.unsupported('a virtual dataset');
    default:
      throw file.broken(`a dataset has a layout of kind ${kind}`);
  }
}

function readTree(file: FileBytes, cursor: Cursor, shape: readonly number[], elementSize: number): Layout {
  const rank = cursor.u8() - 1;
  const tree = cursor.address();
  const chunkShape = Array.from({ length: Math.max(rank, 0) }, () => cursor.u32());
  checkChunk(file, shape, chunkShape, elementSize, cursor.u32());
  const chunks: Chunk[] = [];
  const seen = new Set<string>();
  const keySize = 8 + 8 * (rank + 1);
  walkTree(
    file,
    tree,
    1,
    (address, key) => {
      const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
      const offset = shape.map((_, axis) => Number(view.getBigUint64(8 + 8 * axis, true)));
      const at = offset.join();
      if (seen.has(at)) throw file.broken(`a dataset has two chunks at [${at}]`);
      seen.add(at);
      chunks.push({ offset, address, size: view.getUint32(0, true), skipped: view.getUint32(4, true) });
    },
    keySize,
  );
  for (const { offset } of chunks)
    offset.forEach((start, axis) => {
      if (start >= shape[axis]! || start % chunkShape[axis]! !== 0)
        throw file.broken(`a dataset has a chunk at [${offset.join(', ')}], outside its shape`);
    });
  return { kind: 'chunked', chunkShape, chunks };
}

/** Newer files name the one chunk of a small dataset directly; the other indexes are not written by Keras. */
function readIndex(file: FileBytes, cursor: Cursor, shape: readonly number[], elementSize: number): Layout {
  const flags = cursor.u8();
  const rank = cursor.u8() - 1;
  const width = cursor.u8();
  const chunkShape = Array.from({ length: Math.max(rank, 0) }, () => cursor.unsigned(width));
  checkChunk(file, shape, chunkShape, elementSize, cursor.unsigned(width));
  const index = cursor.u8();
  if (index !== 1)
    throw file.unsupported(
      `a dataset with the chunk index ${['', '', 'implicit', 'fixed array', 'extensible array', 'B-tree 2'][index] ?? index}`,
    );
  let size = chunkShape.reduce((product, dim) => product * dim, elementSize);
  let skipped = 0;
  if (flags & 2) {
    size = cursor.length();
    skipped = cursor.u32();
  }
  const address = cursor.address();
  if (chunkShape.some((dim, axis) => dim < shape[axis]!)) throw file.broken('a dataset is larger than its only chunk');
  const chunks = address === undefinedAddress ? [] : [{ offset: shape.map(() => 0), address, size, skipped }];
  return { kind: 'chunked', chunkShape, chunks };
}

function checkChunk(
  file: FileBytes,
  shape: readonly number[],
  chunkShape: readonly number[],
  elementSize: number,
  stated: number,
): void {
  if (chunkShape.length !== shape.length || chunkShape.length === 0)
    throw file.broken(`a dataset of ${shape.length} axes has chunks of ${chunkShape.length}`);
  if (stated !== elementSize) throw file.broken(`elements of ${elementSize} bytes stand in chunks as ${stated}`);
  const bytes = chunkShape.reduce((product, dim) => product * dim, elementSize);
  if (!(bytes > 0 && bytes < 2 ** 32)) throw file.broken(`chunks of shape [${chunkShape.join(', ')}] are impossible`);
}

/** Reads the filter pipeline: deflate (1), shuffle (2) and fletcher32 (3). */
export function readFilters(file: FileBytes, messages: readonly Message[]): Filter[] {
  const message = messages.find(({ type }) => type === messageType.filters);
  if (!message) return [];
  if (message.shared) throw file.unsupported('shared filters');
  const cursor = message.open();
  const version = cursor.u8();
  if (version < 1 || version > 2) throw file.broken(`filters have version ${version}`);
  const count = cursor.u8();
  if (count > 32) throw file.broken(`a dataset has ${count} filters`);
  if (version === 1) cursor.skip(6);
  return Array.from({ length: count }, () => {
    const id = cursor.u16();
    const nameLength = version === 1 || id >= 256 ? cursor.u16() : 0;
    cursor.skip(2); // whether it may be left out
    const number = cursor.u16();
    cursor.skip(version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength);
    const values = Array.from({ length: number }, () => cursor.u32());
    if (version === 1 && number % 2 === 1) cursor.skip(4);
    if (id < 1 || id > 3) throw file.unsupported(`a dataset with the filter ${filterNames[id] ?? id}`);
    return { id, values };
  });
}
