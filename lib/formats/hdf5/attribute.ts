import { type Cursor, type FileBytes, text, undefinedAddress } from './bytes.js';
import { type Datatype, elements, readDataspace, readDatatype } from './datatype.js';
import { type Message, messageType } from './header.js';
import type { GlobalHeap } from './heap.js';

/** The value of an attribute: one element, or a list of them. Integers come as numbers where they fit. */
export type Attribute = string | number | bigint | boolean | readonly (string | number | bigint | boolean)[];

const maxElements = 1_000_000;

/** The attributes of an object by name. */
export function readAttributes(
  file: FileBytes,
  heap: GlobalHeap,
  messages: readonly Message[],
): Map<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const message of messages) {
    if (message.type === messageType.attributeInfo) checkInfo(file, message);
    if (message.type !== messageType.attribute) continue;
    if (message.shared) throw file.unsupported('a shared attribute');
    const [name, value] = readAttribute(file, heap, message.open());
    if (attributes.has(name)) throw file.broken(`two attributes have the name "${name}"`);
    attributes.set(name, value);
  }
  return attributes;
}

function readAttribute(file: FileBytes, heap: GlobalHeap, cursor: Cursor): [string, Attribute] {
  const version = cursor.u8();
  if (version < 1 || version > 3) throw file.broken(`an attribute has version ${version}`);
  const flags = cursor.u8();
  if (version > 1 && flags !== 0) throw file.unsupported('an attribute with a committed datatype');
  const sizes = [cursor.u16(), cursor.u16(), cursor.u16()];
  if (version === 3) cursor.skip(1); // character set of the name
  // Version 1 pads each part to a multiple of 8.
  const part = (size: number): Cursor => {
    const inner = cursor.sub(size, 'an attribute');
    if (version === 1) cursor.skip(Math.min((8 - (size % 8)) % 8, cursor.remaining));
    return inner;
  };
  const nameBytes = part(sizes[0]!);
  const name = text(nameBytes.bytes(nameBytes.remaining));
  const datatype = readDatatype(part(sizes[1]!));
  const shape = readDataspace(part(sizes[2]!));
  if (shape === undefined) return [name, []];
  const count = elements(shape);
  if (count > maxElements || count * datatype.size > cursor.remaining)
    throw file.broken(`the attribute "${name}" claims ${count} elements, which are not there`);
  const values = Array.from({ length: count }, () => readElement(file, heap, cursor.sub(datatype.size), datatype));
  return [name, shape.length === 0 ? values[0]! : values];
}

/** One element of an attribute, or of a dataset of texts. */
export function readElement(
  file: FileBytes,
  heap: GlobalHeap,
  cursor: Cursor,
  { kind, size }: Datatype,
): string | number | bigint | boolean {
  const bytes = cursor.bytes(size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  switch (kind) {
    case 'string':
      return text(bytes);
    case 'vlenString': {
      const reference = file.at(cursor.position - size, size, 'a reference to a text');
      const length = reference.u32();
      const address = reference.address();
      const index = reference.u32();
      if (length === 0 || address === 0 || address === undefinedAddress) return '';
      return text(heap.object(address, index, length));
    }
    case 'bool':
      return bytes[0] !== 0;
    case 'int8':
      return view.getInt8(0);
    case 'int16':
      return view.getInt16(0, true);
    case 'int32':
      return view.getInt32(0, true);
    case 'int64':
      return narrow(view.getBigInt64(0, true));
    case 'uint8':
      return bytes[0]!;
    case 'uint16':
      return view.getUint16(0, true);
    case 'uint32':
      return view.getUint32(0, true);
    case 'uint64':
      return narrow(view.getBigUint64(0, true));
    case 'float32':
      return view.getFloat32(0, true);
    case 'float64':
      return view.getFloat64(0, true);
    default:
      throw file.unsupported(`an attribute of ${kind}`);
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** An object of a new-style file with many attributes keeps them in a fractal heap, which Keras never writes. */
function checkInfo(file: FileBytes, message: Message): void {
  const cursor = message.open();
  cursor.skip(1);
  if (cursor.u8() & 1) cursor.skip(2);
  if (cursor.address() !== undefinedAddress) throw file.unsupported('an object with its attributes in a fractal heap');
}
