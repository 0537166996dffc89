import { ChainruleError } from '../../errors.js';
import { ByteWriter } from './byte_writer.js';
import { messageType } from './header.js';

/** Elements that are written: bfloat16 as a float of 16 bits, which HDF5 itself widens when it is read. `string` is text of a fixed number of bytes, in UTF-8, padded with NUL. */
export type WrittenKind = 'float32' | 'bfloat16' | 'int32' | 'int64' | 'uint32' | 'uint8' | 'int8' | 'bool' | 'string';
/** A value of an attribute: texts, whole numbers and lists of either. */
export type WrittenAttribute = string | number | readonly string[] | readonly number[];

/** A message of an object header: its type and its bytes. */
export type WrittenMessage = readonly [type: number, body: Uint8Array];

const integers: Partial<Record<WrittenKind, { size: number; signed: boolean }>> = {
  int32: { size: 4, signed: true },
  int64: { size: 8, signed: true },
  uint32: { size: 4, signed: false },
  uint8: { size: 1, signed: false },
  int8: { size: 1, signed: true },
};

/** Bytes of one element. */
export function elementSize(kind: WrittenKind, textBytes = 1): number {
  if (kind === 'string') return Math.max(1, textBytes);
  if (kind === 'float32' || kind === 'bfloat16') return kind === 'float32' ? 4 : 2;
  return integers[kind]?.size ?? 1;
}

/** A datatype message, version 1, as h5py writes it. */
export function datatypeBytes(kind: WrittenKind, textBytes?: number): Uint8Array {
  const out = new ByteWriter();
  const size = elementSize(kind, textBytes);
  const head = (type: number, bits: number, bytes = size): ByteWriter =>
    out
      .u8(0x10 | type)
      .u8(bits & 255)
      .u8(bits >> 8)
      .u8(0)
      .u32(bytes);
  if (kind === 'string') head(3, 0x11);
  else if (kind === 'float32') {
    // Little-endian, implied leading bit, sign at 31; exponent 8 bits at 23, mantissa 23 bits at 0, bias 127.
    head(1, 0x1f20).u16(0).u16(32).u8(23).u8(8).u8(0).u8(23).u32(127);
  } else if (kind === 'bfloat16') {
    // The same with a mantissa of 7 bits.
    head(1, 0x0f20).u16(0).u16(16).u8(7).u8(8).u8(0).u8(7).u32(127);
  } else if (kind === 'bool') {
    head(8, 2);
    out.u8(0x10).u8(8).u8(0).u8(0).u32(1).u16(0).u16(8);
    out.text('FALSE\0\0\0').text('TRUE\0\0\0\0').u8(0).u8(1);
  } else
    head(0, integers[kind]!.signed ? 8 : 0)
      .u16(0)
      .u16(size * 8);
  return out.finish();
}

/** A dataspace message, version 1: no axes for one element. */
export function dataspaceBytes(shape: readonly number[]): Uint8Array {
  const out = new ByteWriter().u8(1).u8(shape.length).padTo(8);
  for (const dim of shape) out.u64(dim);
  return out.finish();
}

/** Where the elements of a dataset stand: together, at an address. */
export function layoutMessage(address: number, size: number): WrittenMessage {
  const out = new ByteWriter().u8(3).u8(1);
  return [
    messageType.layout,
    out
      .u64(size === 0 ? Number.POSITIVE_INFINITY : address)
      .u64(size)
      .finish(),
  ];
}

/** Elements that were never written are 0 (none are left out, but readers expect the message). */
export const fillMessage: WrittenMessage = [messageType.fill, new ByteWriter().u8(2).u8(2).u8(2).u8(1).u32(0).finish()];

/** The largest message that a header of version 1 holds. */
const maxMessage = 64_512;

export function attributeMessage(name: string, value: WrittenAttribute, path: string): WrittenMessage {
  const values = (Array.isArray(value) ? value : [value]) as readonly (string | number)[];
  const texts = values.length > 0 && values.every((item) => typeof item === 'string');
  if (!texts && !values.every((item) => Number.isSafeInteger(item)))
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `attribute "${name}" of "${path}": only texts and whole numbers can be written.`,
    );
  const encoded = texts ? values.map((item) => Buffer.from(item as string, 'utf8')) : [];
  const textBytes = Math.max(1, ...encoded.map((item) => item.length));
  const kind = texts ? 'string' : 'int64';
  const out = new ByteWriter();
  const label = Buffer.from(`${name}\0`, 'utf8');
  const type = datatypeBytes(kind, textBytes);
  const space = dataspaceBytes(Array.isArray(value) ? [values.length] : []);
  out.u8(1).u8(0).u16(label.length).u16(type.length).u16(space.length);
  for (const part of [label, type, space]) out.bytes(part).align();
  if (texts) for (const item of encoded) out.bytes(item).padTo(out.length + textBytes - item.length);
  else out.bytes(new Uint8Array(BigInt64Array.from(values as number[], BigInt).buffer));
  if (out.length > maxMessage)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `attribute "${name}" of "${path}" has ${out.length} bytes; HDF5 keeps at most ${maxMessage} in an object's header. Write it as a dataset.`,
    );
  return [messageType.attribute, out.finish()];
}

/** An object header, version 1, with all messages in one block. */
export function headerBytes(messages: readonly WrittenMessage[]): Uint8Array {
  const body = new ByteWriter();
  for (const [type, content] of messages) {
    const size = Math.ceil(content.length / 8) * 8;
    body
      .u16(type)
      .u16(size)
      .u8(0)
      .padTo(body.length + 3);
    body.bytes(content).align();
  }
  const out = new ByteWriter().u8(1).u8(0).u16(messages.length).u32(1).u32(body.length).align();
  return out.bytes(body.finish()).finish();
}
