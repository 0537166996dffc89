import { narrowBfloat16 } from '../bfloat16.js';
import { ByteWriter } from './byte_writer.js';
import { messageType } from './header.js';
import { signature } from './superblock.js';
import { leafRank, type Space, treeRank, writeSymbolTable } from './write_group.js';
import {
  attributeMessage,
  dataspaceBytes,
  datatypeBytes,
  elementSize,
  fillMessage,
  headerBytes,
  layoutMessage,
  type WrittenAttribute,
  type WrittenKind,
  type WrittenMessage,
} from './write_messages.js';

type Numbers = Float32Array | Int32Array | Uint32Array | Uint8Array | Int8Array;

/** A folder to be written. */
export interface WrittenGroup {
  attributes?: Readonly<Record<string, WrittenAttribute>>;
  members: Map<string, WrittenGroup | WrittenDataset>;
}

/** An array to be written. */
export interface WrittenDataset {
  kind: WrittenKind;
  shape: readonly number[];
  /** The numbers in row-major order, int64 as int32, bfloat16 as float32; texts as strings. Asked for when their turn comes. */
  read(): Numbers | readonly string[] | Promise<Numbers>;
  /** Of texts: bytes of each. */
  textBytes?: number;
  attributes?: Readonly<Record<string, WrittenAttribute>>;
}

/** An HDF5 file before it is written: its size is known, its bytes come in pieces. */
export interface Hdf5Plan {
  size: number;
  pieces(): AsyncGenerator<Uint8Array>;
}

const superblockSize = 96;
const pieceBytes = 2 ** 18;

interface Stored {
  dataset: WrittenDataset;
  address: number;
  bytes: number;
}

/**
 * Lays out a file as h5py does by default, readable by every version of the HDF5 library: superblock 0, symbol tables,
 * headers of version 1, contiguous arrays. The arrays come first, what describes them follows
 * (https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html).
 */
export function planHdf5(root: WrittenGroup): Hdf5Plan {
  const stored = new Map<WrittenDataset, Stored>();
  let end = superblockSize;
  const locate = (group: WrittenGroup): void => {
    for (const member of group.members.values()) {
      if ('members' in member) locate(member);
      else {
        const bytes = count(member.shape) * elementSize(member.kind, member.textBytes);
        stored.set(member, { dataset: member, address: end, bytes });
        end = Math.ceil((end + bytes) / 8) * 8;
      }
    }
  };
  locate(root);
  const metadata = new Metadata(end);
  const address = writeGroup(root, '', stored, metadata);
  const size = metadata.next;
  return {
    size,
    async *pieces() {
      yield superblock(address, size);
      for (const { dataset, bytes } of stored.values()) {
        yield* piecesOf(dataset, bytes);
        if (bytes % 8 > 0) yield new Uint8Array(8 - (bytes % 8));
      }
      yield* metadata.blocks;
    },
  };
}

/** Blocks one after the other, each at a multiple of 8. */
class Metadata implements Space {
  readonly blocks: Uint8Array[] = [];

  constructor(public next: number) {}

  place(content: Uint8Array): number {
    const address = this.next;
    const padded = new ByteWriter().bytes(content).align().finish();
    this.blocks.push(padded);
    this.next += padded.length;
    return address;
  }
}

function writeGroup(
  { members, attributes }: WrittenGroup,
  path: string,
  stored: ReadonlyMap<WrittenDataset, Stored>,
  space: Metadata,
): number {
  const addresses = new Map<string, number>();
  for (const [name, member] of members) {
    const inner = path === '' ? name : `${path}/${name}`;
    addresses.set(
      name,
      'members' in member
        ? writeGroup(member, inner, stored, space)
        : space.place(headerBytes(datasetMessages(stored.get(member)!, inner))),
    );
  }
  return space.place(headerBytes([writeSymbolTable(addresses, space), ...attributeMessages(attributes, path)]));
}

function datasetMessages({ dataset, address, bytes }: Stored, path: string): WrittenMessage[] {
  return [
    [messageType.dataspace, dataspaceBytes(dataset.shape)],
    [messageType.datatype, datatypeBytes(dataset.kind, dataset.textBytes)],
    fillMessage,
    layoutMessage(address, bytes),
    ...attributeMessages(dataset.attributes, path),
  ];
}

function attributeMessages(
  attributes: Readonly<Record<string, WrittenAttribute>> | undefined,
  path: string,
): WrittenMessage[] {
  return Object.entries(attributes ?? {}).map(([name, value]) => attributeMessage(name, value, path));
}

function superblock(root: number, end: number): Uint8Array {
  const out = new ByteWriter().bytes(signature).u32(0).u8(0).u8(8).u8(8).u8(0).u16(leafRank).u16(treeRank).u32(0);
  out.u64(0).u64(Number.POSITIVE_INFINITY).u64(end).u64(Number.POSITIVE_INFINITY);
  // The root's entry: no name, its header; nothing cached.
  return out.u64(0).u64(root).padTo(superblockSize).finish();
}

async function* piecesOf(dataset: WrittenDataset, bytes: number): AsyncGenerator<Uint8Array> {
  if (bytes === 0) return;
  const values = await dataset.read();
  if (dataset.kind === 'string') yield texts(values as readonly string[], bytes, dataset.textBytes ?? 1);
  else if (dataset.kind === 'int64') {
    const step = pieceBytes / 8;
    const numbers = values as Int32Array;
    for (let at = 0; at < numbers.length; at += step)
      yield new Uint8Array(BigInt64Array.from(numbers.subarray(at, at + step) as never, BigInt).buffer);
  } else if (dataset.kind === 'bfloat16') {
    const step = pieceBytes / 2;
    const numbers = values as Float32Array;
    for (let at = 0; at < numbers.length; at += step)
      yield new Uint8Array(narrowBfloat16(numbers.subarray(at, at + step)).buffer);
  } else {
    const { buffer, byteOffset } = values as Numbers;
    for (let at = 0; at < bytes; at += pieceBytes)
      yield new Uint8Array(buffer, byteOffset + at, Math.min(pieceBytes, bytes - at));
  }
}

function texts(values: readonly string[], bytes: number, textBytes: number): Uint8Array {
  const content = new Uint8Array(bytes);
  values.forEach((value, i) => {
    content.set(Buffer.from(value, 'utf8').subarray(0, textBytes), i * textBytes);
  });
  return content;
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
