import { type Cursor, type FileBytes, undefinedAddress } from './bytes.js';
import { lookup3 } from './checksum.js';

/** Kinds of messages in an object header. */
export const messageType = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  externalFiles: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  sharedTable: 0x0f,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

export interface Message {
  type: number;
  /** A fresh cursor over the message's bytes. */
  open(): Cursor;
  /** Its content stands elsewhere in the file. */
  shared: boolean;
}

const maxMessages = 100_000;

/** All messages of the object header at an address, version 1 or 2, its continuations included. */
export function readHeader(file: FileBytes, address: number): Message[] {
  if (address === undefinedAddress) throw file.broken('an object has no address');
  file.count('an object header');
  const first = file.from(address, 'an object header');
  const messages = first.remaining > 0 && file.data[address] === 0x4f ? readNew(file, first) : readOld(file, first);
  for (const { type } of messages)
    if (type === messageType.sharedTable) throw file.unsupported('a table of shared messages');
  return messages;
}

function add(file: FileBytes, messages: Message[], type: number, flags: number, body: Cursor): void {
  if (messages.length >= maxMessages) throw file.broken(`an object has more than ${maxMessages} messages`);
  file.count('a message');
  const { position, remaining, what } = body;
  messages.push({ type, shared: (flags & 2) !== 0, open: () => file.at(position, remaining, what) });
}

function readOld(file: FileBytes, cursor: Cursor): Message[] {
  const version = cursor.u8();
  if (version !== 1) throw file.broken(`an object header at byte ${cursor.position - 1} has version ${version}`);
  cursor.skip(1);
  let left = cursor.u16();
  cursor.skip(4);
  const size = cursor.u32();
  cursor.skip(4); // to a multiple of 8
  const messages: Message[] = [];
  const blocks = [cursor.sub(size, 'an object header')];
  const seen = new Set<number>([blocks[0]!.position]);
  for (let block = blocks.shift(); block; block = blocks.shift()) {
    while (left > 0 && block.remaining >= 8) {
      const type = block.u16();
      const length = block.u16();
      const flags = block.u8();
      block.skip(3);
      const body = block.sub(length, 'a message of an object header');
      left--;
      if (type === messageType.continuation) blocks.push(continuation(file, body, seen));
      else add(file, messages, type, flags, body);
    }
  }
  if (left > 0) throw file.broken(`an object header lacks ${left} of its messages`);
  return messages;
}

function readNew(file: FileBytes, cursor: Cursor): Message[] {
  const begin = cursor.position;
  cursor.signature('OHDR');
  const version = cursor.u8();
  if (version !== 2) throw file.broken(`an object header at byte ${begin} has version ${version}`);
  const flags = cursor.u8();
  if (flags & 0x20) cursor.skip(16); // times
  if (flags & 0x10) cursor.skip(4); // limits for attributes
  const size = cursor.unsigned(1 << (flags & 3));
  const messages: Message[] = [];
  const blocks = [{ begin, body: cursor.sub(size, 'an object header') }];
  const seen = new Set<number>([begin]);
  for (let block = blocks.shift(); block; block = blocks.shift()) {
    const { body } = block;
    const sum = file.at(body.end, 4, 'the checksum of an object header');
    if (lookup3(file.data.subarray(block.begin, body.end)) !== sum.u32())
      throw file.broken(`the object header at byte ${block.begin} has a wrong checksum`);
    const head = flags & 4 ? 6 : 4;
    while (body.remaining >= head) {
      const type = body.u8();
      const length = body.u16();
      const messageFlags = body.u8();
      if (flags & 4) body.skip(2); // order of creation
      const message = body.sub(length, 'a message of an object header');
      if (type === messageType.continuation) {
        const more = continuation(file, message, seen);
        const start = more.position;
        more.signature('OCHK');
        if (more.remaining < 4) throw file.broken('a continued object header is too short');
        blocks.push({ begin: start, body: more.sub(more.remaining - 4, 'an object header') });
      } else add(file, messages, type, messageFlags, message);
    }
  }
  return messages;
}

function continuation(file: FileBytes, message: Cursor, seen: Set<number>): Cursor {
  const address = message.address();
  const length = message.length();
  if (seen.has(address)) throw file.broken(`an object header continues in a circle at byte ${address}`);
  seen.add(address);
  return file.at(address, length, 'a continued object header');
}
