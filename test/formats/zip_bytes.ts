import { crc32, deflateRawSync } from 'node:zlib';

export interface Entry {
  name: string;
  data: Uint8Array;
  /** What the headers say; the truth where absent. */
  claim?: Partial<Record<'size' | 'packed' | 'crc' | 'method' | 'flags' | 'attributes' | 'offset', number>>;
  localName?: string;
  deflate?: boolean;
}

/** A zip file as anybody could make one: the headers say what they are told to. */
export function zip(
  entries: readonly Entry[],
  { comment = '', directoryShift = 0, total = entries.length } = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, data, claim = {}, localName = name, deflate = false } of entries) {
    const content = deflate ? deflateRawSync(data) : Buffer.from(data);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(claim.flags ?? 0, 2);
    common.writeUInt16LE(claim.method ?? (deflate ? 8 : 0), 4);
    common.writeUInt32LE(claim.crc ?? crc32(data), 10);
    common.writeUInt32LE(claim.packed ?? content.length, 14);
    common.writeUInt32LE(claim.size ?? data.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(localName), content]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((claim.attributes ?? 0) >>> 0, 6);
    tail.writeUInt32LE(claim.offset ?? at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), common, tail, Buffer.from(name)]));
    parts.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(total, 8);
  end.writeUInt16LE(total, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at + directoryShift, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, central, end, Buffer.from(comment)]);
}
