import type { Cursor } from './bytes.js';

/** How one element stands in the file. `opaque` is raw bytes: Keras stores bfloat16 so, where HDF5 has a float for it. */
export type ElementKind =
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
  | 'bool'
  | 'string'
  | 'vlenString'
  | 'opaque';

export interface Datatype {
  kind: ElementKind;
  /** Bytes of one element. */
  size: number;
}

const classNames = [
  'fixed-point numbers',
  'floating-point numbers',
  'times',
  'strings',
  'bit fields',
  'opaque bytes',
  'compound elements',
  'references',
  'enumerations',
  'elements of variable length',
  'arrays as elements',
  'complex numbers',
];

/** Reads a datatype message: the kinds that Keras and NumPy write; others are refused by name. */
export function readDatatype(cursor: Cursor, depth = 0): Datatype {
  const { file } = cursor;
  const head = cursor.u8();
  const [version, kind] = [head >> 4, head & 15];
  if (version < 1 || version > 5) throw file.broken(`a datatype has version ${version}`);
  const bits = cursor.unsigned(3);
  const size = cursor.u32();
  if (size === 0) throw file.broken('a datatype has elements of 0 bytes');
  switch (kind) {
    case 0:
      return integer(cursor, bits, size);
    case 1:
      return float(cursor, bits, size);
    case 3:
      return { kind: 'string', size };
    case 5:
      if (size === 2) return { kind: 'opaque', size };
      throw file.unsupported(`a datatype of opaque elements of ${size} bytes`);
    case 8:
      return enumeration(cursor, bits, size, version, depth);
    case 9:
      if ((bits & 15) === 1) {
        if (size !== 8 + file.offsetSize) throw file.broken(`a reference to a text has ${size} bytes`);
        return { kind: 'vlenString', size };
      }
      throw file.unsupported('a datatype of lists of variable length');
    default:
      throw file.unsupported(`a datatype of ${classNames[kind] ?? `class ${kind}`}`);
  }
}

function integer(cursor: Cursor, bits: number, size: number): Datatype {
  const { file } = cursor;
  if (bits & 1 && size > 1) throw file.unsupported('a datatype of big-endian integers');
  const [offset, precision] = [cursor.u16(), cursor.u16()];
  if (offset !== 0 || precision !== size * 8 || ![1, 2, 4, 8].includes(size))
    throw file.unsupported(`a datatype of integers with ${precision} bits in ${size} bytes`);
  return { kind: `${bits & 8 ? '' : 'u'}int${precision}` as ElementKind, size };
}

/** Sign's place, offset, precision, exponent's place and width, mantissa's place and width, bias: IEEE 754 and bfloat16 only. */
const floats: readonly { size: number; kind: ElementKind; layout: readonly number[] }[] = [
  { size: 2, kind: 'float16', layout: [15, 0, 16, 10, 5, 0, 10, 15] },
  { size: 2, kind: 'bfloat16', layout: [15, 0, 16, 7, 8, 0, 7, 127] },
  { size: 4, kind: 'float32', layout: [31, 0, 32, 23, 8, 0, 23, 127] },
  { size: 8, kind: 'float64', layout: [63, 0, 64, 52, 11, 0, 52, 1023] },
];

function float(cursor: Cursor, bits: number, size: number): Datatype {
  const { file } = cursor;
  if (bits & 0x41) throw file.unsupported('a datatype of big-endian (or VAX) floating-point numbers');
  const found = [
    (bits >> 8) & 255,
    cursor.u16(),
    cursor.u16(),
    cursor.u8(),
    cursor.u8(),
    cursor.u8(),
    cursor.u8(),
    cursor.u32(),
  ];
  const known = floats.find((one) => one.size === size && one.layout.every((value, i) => value === found[i]));
  if (!known)
    throw file.unsupported(`a datatype of floating-point numbers with ${found[2]} bits that are not IEEE 754`);
  return { kind: known.kind, size };
}

/** h5py stores booleans as the enumeration FALSE = 0, TRUE = 1 over bytes. */
function enumeration(cursor: Cursor, bits: number, size: number, version: number, depth: number): Datatype {
  const { file } = cursor;
  const members = bits & 0xffff;
  if (depth > 0 || members !== 2) throw file.unsupported('a datatype of enumerations other than FALSE and TRUE');
  const base = readDatatype(cursor, depth + 1);
  const names: string[] = [];
  for (let i = 0; i < members; i++) {
    let name = '';
    for (let letter = cursor.u8(); letter !== 0; letter = cursor.u8()) name += String.fromCharCode(letter);
    // Before version 3 names are padded with their NUL to a multiple of 8.
    if (version < 3) cursor.skip((8 - ((name.length + 1) % 8)) % 8);
    names.push(name);
  }
  const values = [...cursor.bytes(members * base.size)];
  if (base.size !== 1 || size !== 1 || names.join() !== 'FALSE,TRUE' || values.join() !== '0,1')
    throw file.unsupported('a datatype of enumerations other than FALSE and TRUE');
  return { kind: 'bool', size };
}

/** Reads a dataspace message: the sizes of the axes ([] for one element), or undefined for none at all. */
export function readDataspace(cursor: Cursor): number[] | undefined {
  const { file } = cursor;
  const version = cursor.u8();
  const rank = cursor.u8();
  const flags = cursor.u8();
  if (version === 1) cursor.skip(5);
  else if (version === 2) {
    const kind = cursor.u8();
    if (kind === 2) return undefined;
    if (kind > 2 || (kind === 0) !== (rank === 0)) throw file.broken('a dataspace contradicts itself');
  } else throw file.broken(`a dataspace has version ${version}`);
  if (rank > 32) throw file.broken(`a dataspace has ${rank} axes`);
  if (flags & 2) throw file.unsupported('a dataspace with permuted axes');
  const shape = Array.from({ length: rank }, () => cursor.length());
  if (!Number.isSafeInteger(elements(shape))) throw file.broken(`the shape [${shape.join(', ')}] is impossible`);
  return shape;
}

/** Number of elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
