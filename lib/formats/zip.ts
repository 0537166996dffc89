import { constants } from 'node:buffer';
import { promises as fs } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type * as zlib from 'node:zlib';
import type * as yauzl from 'yauzl';
import { ChainruleError } from '../errors.js';
import { ioError } from './io_error.js';

const maxMembers = 10_000;
const maxNameBytes = 4096;
const maxRatio = 100;
/** Packed members may always grow to this size, and beyond it to twice their packed size. */
const freeBytes = 64 * 2 ** 20;
const piece = 4 * 2 ** 20;

interface Member {
  entry: yauzl.Entry;
  begin: number;
}

/** An open zip file whose members are known to be what they claim; they are read by name, into memory. */
export class ZipReader {
  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly archive: yauzl.ZipFile,
    private readonly members: ReadonlyMap<string, Member>,
  ) {}

  /** Opens and checks a file; the result must be closed. Anything foreign is ERR_CHAINRULE_FORMAT. */
  static async open(path: string): Promise<ZipReader> {
    let handle: FileHandle;
    try {
      handle = await fs.open(path, 'r');
    } catch (error) {
      throw ioError('read', path, error);
    }
    try {
      const { fromFdPromise } = require('yauzl') as typeof yauzl; // when a file is opened: starts do without
      const archive = await fromFdPromise(handle.fd, { autoClose: false, strictFileNames: true });
      return new ZipReader(path, handle, archive, await readMembers(path, archive));
    } catch (error) {
      await handle.close();
      throw foreign(path, error);
    }
  }

  names(): string[] {
    return [...this.members.keys()];
  }

  /** Bytes of a member when read. */
  size(name: string): number {
    return this.members.get(name)?.entry.uncompressedSize ?? 0;
  }

  /** The content of a member, or undefined where there is none of this name. */
  async read(
    name: string,
    { limit = constants.MAX_LENGTH, signal }: ReadOptions = {},
  ): Promise<Uint8Array | undefined> {
    const member = this.members.get(name);
    if (!member) return undefined;
    const { entry, begin } = member;
    const { uncompressedSize: size, compressedSize: packed } = entry;
    if (size > limit) throw broken(this.path, `"${name}" has ${size} bytes, more than the ${limit} allowed`);
    const content = new Uint8Array(size);
    try {
      if (entry.compressionMethod === 0) await this.readStored(content, begin, signal);
      else await this.unpack(entry, content, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw foreign(this.path, error);
    }
    const { crc32 } = require('node:zlib') as typeof zlib; // as yauzl
    let sum = 0;
    for (let at = 0; at < size; at += piece) {
      sum = crc32(content.subarray(at, at + piece), sum);
      if (size > piece) await new Promise((resolve) => setImmediate(resolve));
    }
    if (sum !== entry.crc32) throw broken(this.path, `"${name}" (${packed} bytes) has a wrong checksum`);
    return content;
  }

  /** The archive has no resource but the file, which it would close behind the handle's back. */
  close(): Promise<void> {
    return this.handle.close();
  }

  private async readStored(content: Uint8Array, begin: number, signal: AbortSignal | undefined): Promise<void> {
    for (let at = 0; at < content.length; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.handle.read(content, at, Math.min(piece, content.length - at), begin + at);
      if (bytesRead === 0) throw broken(this.path, 'the file became shorter while it was read');
      at += bytesRead;
    }
  }

  private async unpack(entry: yauzl.Entry, content: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const stream = await this.archive.openReadStreamPromise(entry);
    let at = 0;
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      signal?.throwIfAborted();
      if (at + part.length > content.length) throw broken(this.path, `"${entry.fileName}" is larger than it claims`);
      content.set(part, at);
      at += part.length;
    }
    if (at !== content.length) throw broken(this.path, `"${entry.fileName}" is smaller than it claims`);
  }
}

export interface ReadOptions {
  /** Largest number of bytes that the member may have. */
  limit?: number;
  signal?: AbortSignal | undefined;
}

async function readMembers(path: string, archive: yauzl.ZipFile): Promise<Map<string, Member>> {
  // The place of the central directory, before entries are read.
  const directory = (archive as unknown as { readEntryCursor: number }).readEntryCursor;
  if (archive.entryCount > maxMembers) throw broken(path, `it has ${archive.entryCount} members`);
  const members = new Map<string, Member>();
  const extents: { name: string; begin: number; end: number }[] = [];
  for await (const entry of archive.eachEntry()) {
    const name = entry.fileName;
    checkEntry(path, entry);
    if (members.has(name)) throw broken(path, `two members have the name "${name}"`);
    const header = await archive.readLocalFileHeaderPromise(entry);
    checkHeader(path, entry, header);
    const begin = header.fileDataStart;
    members.set(name, { entry, begin });
    extents.push({ name, begin: entry.relativeOffsetOfLocalHeader, end: begin + entry.compressedSize });
  }
  extents.sort((a, b) => a.begin - b.begin);
  extents.forEach(({ name, end }, i) => {
    if (end > (extents[i + 1]?.begin ?? directory)) throw broken(path, `"${name}" overlaps what follows it`);
  });
  return members;
}

function checkEntry(path: string, entry: yauzl.Entry): void {
  const { fileName: name, compressedSize, uncompressedSize, compressionMethod } = entry;
  if (entry.fileNameLength > maxNameBytes || name === '' || name.includes('\0'))
    throw broken(path, 'a member has an impossible name');
  if (name.split('/').includes('..') || /^([a-z]:|\/)/i.test(name))
    throw broken(path, `the name "${name}" leaves the archive`);
  if (((entry.externalFileAttributes >>> 16) & 0o170000) === 0o120000) throw broken(path, `"${name}" is a link`);
  if (entry.generalPurposeBitFlag & 1) throw broken(path, `"${name}" is encrypted`);
  if (compressionMethod !== 0 && compressionMethod !== 8)
    throw broken(
      path,
      `"${name}" is packed with method ${compressionMethod}; only stored and deflated members are read`,
    );
  if (uncompressedSize > maxRatio * compressedSize + 1024)
    throw broken(path, `"${name}" claims to grow from ${compressedSize} to ${uncompressedSize} bytes`);
  if (compressionMethod === 8 && uncompressedSize > freeBytes && uncompressedSize > 2 * compressedSize)
    throw broken(path, `"${name}" claims to grow to ${uncompressedSize} bytes; store it instead of packing it`);
}

/** What stands before the content must agree with the directory: other programs may believe the one or the other. */
function checkHeader(path: string, entry: yauzl.Entry, header: yauzl.LocalFileHeader): void {
  const { fileName: name } = entry;
  const same =
    Buffer.compare(header.fileName, entry.fileNameRaw) === 0 &&
    header.compressionMethod === entry.compressionMethod &&
    (header.generalPurposeBitFlag & 1) === 0;
  const described = (header.generalPurposeBitFlag & 8) !== 0; // sizes follow the content
  const fits = (stated: number, size: number): boolean => stated === size || stated === 0xffffffff || described;
  if (
    !same ||
    !fits(header.uncompressedSize, entry.uncompressedSize) ||
    !fits(header.compressedSize, entry.compressedSize)
  )
    throw broken(path, `the two headers of "${name}" differ`);
}

function broken(path: string, what: string): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_FORMAT',
    `${path}: ${what}. It is truncated, damaged or no zip file of Keras.`,
  );
}

function foreign(path: string, error: unknown): unknown {
  const known = ioError('read', path, error);
  if (known instanceof ChainruleError) return known;
  const { message } = error as Error;
  return new ChainruleError('ERR_CHAINRULE_FORMAT', `${path}: no zip file that can be read (${message}).`, {
    cause: error,
  });
}
