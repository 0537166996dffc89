import { type Attribute, readAttributes, readElement } from './attribute.js';
import { type FileBytes, undefinedAddress } from './bytes.js';
import { unpackChunks } from './chunks.js';
import { convert, type NumericArray, type NumericKind } from './convert.js';
import { type Datatype, elements, readDataspace, readDatatype } from './datatype.js';
import { type Message, messageType } from './header.js';
import type { GlobalHeap } from './heap.js';
import { readFilters, readLayout } from './layout.js';

/** An array in an HDF5 file; its numbers are read when asked for. */
export class Hdf5Dataset {
  readonly shape: readonly number[];
  private readonly datatype: Datatype;
  private cached: Map<string, Attribute> | undefined;

  constructor(
    private readonly file: FileBytes,
    private readonly heap: GlobalHeap,
    private readonly messages: readonly Message[],
    /** From the root, for messages. */
    readonly path: string,
  ) {
    this.datatype = readDatatype(this.open(messageType.datatype, 'a datatype'));
    const shape = readDataspace(this.open(messageType.dataspace, 'a shape'));
    if (shape === undefined) throw file.unsupported(`the dataset "${path}" without elements (null dataspace)`);
    this.shape = shape;
  }

  get attributes(): Map<string, Attribute> {
    return (this.cached ??= readAttributes(this.file, this.heap, this.messages));
  }

  /** What the elements are; Keras's bfloat16 is opaque and known by an attribute. */
  get kind(): Datatype['kind'] {
    const { kind } = this.datatype;
    if (kind !== 'opaque') return kind;
    return this.attributes.get('dtype') === 'bfloat16' ? 'bfloat16' : 'opaque';
  }

  get size(): number {
    return elements(this.shape);
  }

  /** Bytes of the elements when read. */
  get byteLength(): number {
    return this.size * this.datatype.size;
  }

  /** The numbers in row-major order: float32, int32, uint32, uint8 or int8, whichever holds them. Large arrays may share memory with the file. */
  async read(): Promise<NumericArray> {
    const { kind } = this;
    if (kind === 'string' || kind === 'vlenString' || kind === 'opaque')
      throw this.file.unsupported(
        `the dataset "${this.path}" of ${kind === 'opaque' ? 'opaque bytes' : 'texts'} where numbers are expected`,
      );
    return convert(await this.bytes(), kind as NumericKind, (what) =>
      this.file.broken(`the dataset "${this.path}" ${what}`),
    );
  }

  /** The texts of a dataset of texts. */
  async readStrings(): Promise<string[]> {
    const { kind } = this;
    if (kind !== 'string' && kind !== 'vlenString')
      throw this.file.unsupported(`the dataset "${this.path}" of ${kind} where texts are expected`);
    const bytes = await this.bytes();
    const begin = bytes.byteOffset - this.file.data.byteOffset;
    if (bytes.buffer !== this.file.data.buffer || this.size > 10_000_000)
      throw this.file.unsupported(`the dataset "${this.path}" of texts in compressed chunks`);
    const cursor = this.file.at(begin, bytes.length, 'texts');
    return Array.from({ length: this.size }, () => readElement(this.file, this.heap, cursor, this.datatype) as string);
  }

  private async bytes(): Promise<Uint8Array> {
    const { file, shape } = this;
    const { size } = this.datatype;
    const total = this.size * size;
    const layout = readLayout(file, this.messages, shape, size);
    const filters = readFilters(file, this.messages);
    if (layout.kind === 'chunked') return unpackChunks(file, layout, filters, shape, size);
    if (layout.kind === 'compact') {
      if (layout.data.length < total) throw this.short(total, layout.data.length);
      return layout.data.subarray(0, total);
    }
    if (total === 0) return new Uint8Array(0);
    if (layout.address === undefinedAddress) throw this.short(total, 0);
    if (layout.size < total) throw this.short(total, layout.size);
    return file.at(layout.address, total, `the dataset "${this.path}"`).bytes(total);
  }

  private short(total: number, there: number): Error {
    return this.file.broken(`the dataset "${this.path}" should have ${total} bytes, but has ${there}`);
  }

  private open(type: number, what: string): ReturnType<Message['open']> {
    const message = this.messages.find((one) => one.type === type);
    if (!message) throw this.file.broken(`the dataset "${this.path}" has no ${what}`);
    if (message.shared)
      throw this.file.unsupported(`the dataset "${this.path}" with ${what} that is committed (shared)`);
    return message.open();
  }
}
