/** Collects little-endian numbers and bytes. */
export class ByteWriter {
  private data = new Uint8Array(256);
  private view = new DataView(this.data.buffer);
  length = 0;

  u8(value: number): this {
    const at = this.grow(1);
    this.view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.grow(2);
    this.view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.grow(4);
    this.view.setUint32(at, value, true);
    return this;
  }

  /** A size or address; Infinity is the address "nowhere". */
  u64(value: number): this {
    const all = 2n ** 64n - 1n;
    const at = this.grow(8);
    this.view.setBigUint64(at, value === Number.POSITIVE_INFINITY ? all : BigInt(value), true);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.grow(value.length);
    this.data.set(value, at);
    return this;
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'latin1'));
  }

  /** Zeros up to a length. */
  padTo(length: number): this {
    this.grow(length - this.length);
    return this;
  }

  /** Zeros up to a multiple of 8. */
  align(): this {
    return this.padTo(Math.ceil(this.length / 8) * 8);
  }

  finish(): Uint8Array {
    return this.data.subarray(0, this.length);
  }

  private grow(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.data.length) {
      const larger = new Uint8Array(Math.max(this.length, this.data.length * 2));
      larger.set(this.data);
      this.data = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }
}
