import { type FileBytes, text } from './bytes.js';

/** The names of a group, which its tree refers to by offset. */
export class LocalHeap {
  private readonly begin: number;
  private readonly size: number;

  constructor(
    private readonly file: FileBytes,
    address: number,
  ) {
    const cursor = file.from(address, 'a heap of names');
    cursor.signature('HEAP');
    const version = cursor.u8();
    if (version !== 0) throw file.broken(`a heap of names has version ${version}`);
    cursor.skip(3);
    this.size = cursor.length();
    cursor.length(); // free list
    this.begin = cursor.address();
    file.at(this.begin, this.size, 'the names of a group');
  }

  name(offset: number): string {
    if (offset >= this.size) throw this.file.broken(`a name lies at ${offset} of a heap of ${this.size} bytes`);
    const bytes = this.file
      .at(this.begin + offset, this.size - offset, 'a name')
      .bytes(Math.min(this.size - offset, 4096));
    const end = bytes.indexOf(0);
    if (end < 0) throw this.file.broken('a name does not end');
    return text(bytes.subarray(0, end));
  }
}

/** Texts of variable length: collections of numbered objects. */
export class GlobalHeap {
  private readonly collections = new Map<number, Map<number, Uint8Array>>();

  constructor(private readonly file: FileBytes) {}

  /** The object that a reference of an element means. */
  object(address: number, index: number, length: number): Uint8Array {
    const found = this.collection(address).get(index);
    if (!found || length > found.length)
      throw this.file.broken(`a text (object ${index} of the heap at byte ${address}) is missing`);
    return found.subarray(0, length);
  }

  private collection(address: number): Map<number, Uint8Array> {
    const known = this.collections.get(address);
    if (known) return known;
    const { file } = this;
    const head = file.from(address, 'a heap of texts');
    head.signature('GCOL');
    const version = head.u8();
    if (version !== 1) throw file.broken(`a heap of texts has version ${version}`);
    head.skip(3);
    const size = head.length();
    const cursor = file.at(address, size, 'a heap of texts').skip(head.position - address);
    const objects = new Map<number, Uint8Array>();
    while (cursor.remaining >= 8 + file.lengthSize) {
      const index = cursor.u16();
      cursor.skip(6);
      const length = cursor.length();
      if (index === 0) break; // the rest is free
      file.count('a text');
      objects.set(index, cursor.bytes(length));
      cursor.skip(Math.min((8 - (length % 8)) % 8, cursor.remaining));
    }
    this.collections.set(address, objects);
    return objects;
  }
}
