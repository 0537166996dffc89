import { ChainruleError } from '../../errors.js';

/** The address that means "nowhere": all bits set. */
export const undefinedAddress = Number.POSITIVE_INFINITY;

/** The bytes of an HDF5 file. Every read is checked against the bytes that are really there. */
export class FileBytes {
  private readonly view: DataView;
  /** Widths of addresses and of sizes in this file, from the superblock. */
  offsetSize = 8;
  lengthSize = 8;
  private opened = 0;

  constructor(
    readonly data: Uint8Array,
    /** Names the file in messages. */
    readonly label: string,
  ) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get size(): number {
    return this.data.byteLength;
  }

  broken(what: string): ChainruleError {
    return new ChainruleError(
      'ERR_CHAINRULE_FORMAT',
      `${this.label}: ${what}. The file is truncated, damaged or no HDF5 file.`,
    );
  }

  unsupported(what: string): ChainruleError {
    return new ChainruleError(
      'ERR_CHAINRULE_FORMAT',
      `${this.label}: ${what} is not supported; only what Keras writes can be read (see docs of loadModel). Write the file again with h5py's defaults.`,
    );
  }

  /** A cursor over [begin, begin + length), which must lie inside the file. */
  at(begin: number, length: number, what: string): Cursor {
    if (!(begin >= 0 && length >= 0 && begin + length <= this.size))
      throw this.broken(`${what} at byte ${begin} (${length} bytes) lies outside the file of ${this.size} bytes`);
    return new Cursor(this, this.view, begin, begin + length, what);
  }

  /** A cursor from `begin` to the end of the file, for structures that say their size themselves. */
  from(begin: number, what: string): Cursor {
    return this.at(begin, begin <= this.size ? this.size - begin : 0, what);
  }

  /** Counts what the file makes us look at: structures that overlap could keep us busy for ever. */
  count(what: string, objects = 1): void {
    this.opened += objects;
    if (this.opened * 8 > this.size + 4096)
      throw this.broken(`more structures than its ${this.size} bytes can hold (at ${what})`);
  }
}

/** Reads numbers one after the other, little-endian, inside its range. */
export class Cursor {
  constructor(
    readonly file: FileBytes,
    private readonly view: DataView,
    public position: number,
    readonly end: number,
    readonly what: string,
  ) {}

  get remaining(): number {
    return this.end - this.position;
  }

  skip(count: number): this {
    this.take(count);
    return this;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** Unsigned, of 1 to 8 bytes; what does not fit into 2^53 is refused. */
  unsigned(width: number): number {
    const begin = this.take(width);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.view.getUint8(begin + i);
    if (value > Number.MAX_SAFE_INTEGER) throw this.file.broken(`${this.what} holds the impossible size ${value}`);
    return value;
  }

  /** A size in the file's width. */
  length(): number {
    return this.unsigned(this.file.lengthSize);
  }

  /** An address in the file's width; all bits set is `undefinedAddress`. */
  address(): number {
    const width = this.file.offsetSize;
    const begin = this.take(width);
    let value = 0;
    let ones = true;
    for (let i = width - 1; i >= 0; i--) {
      const byte = this.view.getUint8(begin + i);
      ones &&= byte === 255;
      value = value * 256 + byte;
    }
    return ones ? undefinedAddress : value;
  }

  bytes(count: number): Uint8Array {
    const begin = this.take(count);
    return this.file.data.subarray(begin, begin + count);
  }

  /** Fails unless these characters stand here. */
  signature(text: string): void {
    const found = Buffer.from(this.bytes(text.length)).toString('latin1');
    if (found !== text)
      throw this.file.broken(`${this.what} at byte ${this.position - text.length} does not begin with "${text}"`);
  }

  /** A cursor over the next bytes, which this one skips. */
  sub(count: number, what = this.what): Cursor {
    const begin = this.take(count);
    return new Cursor(this.file, this.view, begin, begin + count, what);
  }

  private take(count: number): number {
    const begin = this.position;
    if (!(count >= 0 && begin + count <= this.end))
      throw this.file.broken(`${this.what} ends at byte ${this.end}, but more should follow`);
    this.position = begin + count;
    return begin;
  }
}

/** Text up to the first NUL; HDF5 says ASCII or UTF-8, and both are read as UTF-8. */
export function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
