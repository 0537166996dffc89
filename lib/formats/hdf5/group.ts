import { type FileBytes, text, undefinedAddress } from './bytes.js';
import { type Message, messageType } from './header.js';
import { LocalHeap } from './heap.js';

/** Name → address of the object's header. */
export type Links = Map<string, number>;

const maxDepth = 64;

/** The hard links of a group, from its symbol table or from link messages. Links of other kinds are refused. */
export function readLinks(file: FileBytes, messages: readonly Message[]): Links {
  const links: Links = new Map();
  for (const message of messages) {
    if (message.type === messageType.symbolTable) readSymbolTable(file, message, links);
    else if (message.type === messageType.link) readLink(file, message, links);
    else if (message.type === messageType.linkInfo) checkLinkInfo(file, message);
  }
  return links;
}

export function isGroup(messages: readonly Message[]): boolean {
  return messages.some(({ type }) => type === messageType.symbolTable || type === messageType.linkInfo);
}

function put(file: FileBytes, links: Links, name: string, address: number): void {
  if (name === '' || name.includes('/')) throw file.broken(`a link has the impossible name "${name}"`);
  if (links.has(name)) throw file.broken(`two links have the name "${name}"`);
  file.count('a link');
  links.set(name, address);
}

function readSymbolTable(file: FileBytes, message: Message, links: Links): void {
  const cursor = message.open();
  const tree = cursor.address();
  const heap = new LocalHeap(file, cursor.address());
  walkTree(file, tree, 0, (address) => readSymbols(file, address, heap, links));
}

/** Visits what the leaves of a version-1 B-tree point at. `keySize` is the width of a key of a chunk tree. */
export function walkTree(
  file: FileBytes,
  root: number,
  type: 0 | 1,
  leaf: (address: number, key: Uint8Array) => void,
  keySize = file.lengthSize,
): void {
  const seen = new Set<number>();
  const visit = (address: number, level: number | undefined): void => {
    if (seen.has(address)) throw file.broken(`a tree meets its node at byte ${address} twice`);
    seen.add(address);
    file.count('a node of a tree');
    const cursor = file.from(address, 'a node of a tree');
    cursor.signature('TREE');
    const nodeType = cursor.u8();
    if (nodeType !== type) throw file.broken(`a node of a tree has type ${nodeType} instead of ${type}`);
    const own = cursor.u8();
    if (own > maxDepth || (level !== undefined && own !== level))
      throw file.broken(`a tree has level ${own} at a wrong place`);
    const used = cursor.u16();
    cursor.address();
    cursor.address();
    for (let i = 0; i < used; i++) {
      const key = cursor.bytes(keySize);
      const child = cursor.address();
      if (own > 0) visit(child, own - 1);
      else leaf(child, key);
    }
  };
  if (root !== undefinedAddress) visit(root, undefined);
}

function readSymbols(file: FileBytes, address: number, heap: LocalHeap, links: Links): void {
  const cursor = file.from(address, 'a table of symbols');
  cursor.signature('SNOD');
  const version = cursor.u8();
  if (version !== 1) throw file.broken(`a table of symbols has version ${version}`);
  cursor.skip(1);
  const used = cursor.u16();
  for (let i = 0; i < used; i++) {
    const name = heap.name(cursor.address());
    const target = cursor.address();
    const cached = cursor.u32();
    cursor.skip(20);
    if (cached === 2) throw file.unsupported(`the soft link "${name}"`);
    put(file, links, name, target);
  }
}

function readLink(file: FileBytes, message: Message, links: Links): void {
  if (message.shared) throw file.unsupported('a shared link');
  const cursor = message.open();
  const version = cursor.u8();
  if (version !== 1) throw file.broken(`a link has version ${version}`);
  const flags = cursor.u8();
  const kind = flags & 8 ? cursor.u8() : 0;
  if (flags & 4) cursor.skip(8); // order of creation
  if (flags & 16) cursor.skip(1); // character set
  const name = text(cursor.bytes(cursor.unsigned(1 << (flags & 3))));
  if (kind === 1) throw file.unsupported(`the soft link "${name}"`);
  if (kind === 64) throw file.unsupported(`the external link "${name}"`);
  if (kind !== 0) throw file.unsupported(`the link "${name}" of kind ${kind}`);
  put(file, links, name, cursor.address());
}

/** A large group of a new-style file keeps its links in a fractal heap, which Keras never writes. */
function checkLinkInfo(file: FileBytes, message: Message): void {
  const cursor = message.open();
  const version = cursor.u8();
  if (version !== 0) throw file.broken(`the information about links has version ${version}`);
  if (cursor.u8() & 1) cursor.skip(8);
  if (cursor.address() !== undefinedAddress) throw file.unsupported('a group with its links in a fractal heap');
}
