import { ByteWriter } from './byte_writer.js';
import { messageType } from './header.js';
import type { WrittenMessage } from './write_messages.js';

/** Half the entries of a table of symbols, and half the children of a node of a tree: HDF5's defaults. */
export const leafRank = 4;
export const treeRank = 16;

const nodeSize = 24 + (2 * treeRank + 1) * 8 + 2 * treeRank * 8;
const tableSize = 8 + 2 * leafRank * 40;

/** Puts bytes into the file, and says where the next ones will stand. */
export interface Space {
  place(content: Uint8Array): number;
  readonly next: number;
}

/** A tree's child with the place of its largest name in the heap. */
interface Child {
  address: number;
  lastName: number;
}

/** The symbol table of a group: heap of names, tables of symbols, and a tree over them of as many levels as it takes. */
export function writeSymbolTable(members: ReadonlyMap<string, number>, space: Space): WrittenMessage {
  const names = [...members.keys()].map((name) => ({ name, bytes: Buffer.from(name, 'utf8') }));
  // Readers look names up by bisection over their bytes.
  names.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const heap = new ByteWriter().padTo(8);
  const symbols = names.map(({ name, bytes }) => {
    const offset = heap.length;
    heap.bytes(bytes).u8(0).align();
    return { offset, address: members.get(name)! };
  });
  const heapData = space.place(heap.finish());
  // 1 in the place of the free list: there is none.
  const header = new ByteWriter().text('HEAP').padTo(8).u64(heap.length).u64(1).u64(heapData);
  const heapAddress = space.place(header.finish());
  const tables: Child[] = chunks(symbols, 2 * leafRank).map((part) => {
    const table = new ByteWriter().text('SNOD').u8(1).u8(0).u16(part.length);
    for (const { offset, address } of part)
      table
        .u64(offset)
        .u64(address)
        .padTo(table.length + 24);
    return { address: space.place(table.padTo(tableSize).finish()), lastName: part.at(-1)!.offset };
  });
  const body = new ByteWriter().u64(writeTree(tables, space)).u64(heapAddress);
  return [messageType.symbolTable, body.finish()];
}

function writeTree(leaves: readonly Child[], space: Space): number {
  let children = leaves;
  for (let level = 0; ; level++) {
    const groups = chunks(children, 2 * treeRank);
    if (groups.length <= 1)
      return space.place(node(level, groups[0] ?? [], 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY));
    // Neighbours point at each other: they stand in one block.
    const first = space.next;
    const at = (i: number): number => (i < 0 || i >= groups.length ? Number.POSITIVE_INFINITY : first + i * nodeSize);
    const block = new ByteWriter();
    groups.forEach((group, i) => {
      const before = groups[i - 1]?.at(-1)?.lastName ?? 0;
      block.bytes(node(level, group, before, at(i - 1), at(i + 1)));
    });
    space.place(block.finish());
    children = groups.map((group, i) => ({ address: at(i), lastName: group.at(-1)!.lastName }));
  }
}

function node(level: number, children: readonly Child[], before: number, left: number, right: number): Uint8Array {
  const out = new ByteWriter().text('TREE').u8(0).u8(level).u16(children.length).u64(left).u64(right).u64(before);
  for (const { address, lastName } of children) out.u64(address).u64(lastName);
  return out.padTo(nodeSize).finish();
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
