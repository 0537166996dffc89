import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import { ChainruleError } from './errors.js';
import { shapeText, sizeOf } from './ndarray.js';

/** Strings in nested arrays, or a StringArray. */
export type StringInput = string | StringArray | readonly StringInput[];

/**
 * Strings with a shape, as UTF-8 bytes one after another: what layers of text take and what an inverted lookup gives.
 * String i is bytes[offsets[i] … offsets[i + 1]).
 */
export class StringArray {
  constructor(
    readonly bytes: Uint8Array,
    readonly offsets: Int32Array,
    readonly shape: readonly number[] = [offsets.length - 1],
  ) {
    if (sizeOf(shape) !== offsets.length - 1)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `StringArray: ${offsets.length - 1} strings don't fill shape ${shapeText(shape)}, which takes ${sizeOf(shape)}.`,
      );
  }

  /** From nested arrays, at once. */
  static from(value: StringInput): StringArray {
    return stringsNow(value, 'StringArray.from');
  }

  get size(): number {
    return this.offsets.length - 1;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** String i in row-major order. */
  get(i: number): string {
    return decoder.decode(this.bytes.subarray(this.offsets[i]!, this.offsets[i + 1]!));
  }

  /** All strings in row-major order. */
  toList(): string[] {
    return Array.from({ length: this.size }, (_, i) => this.get(i));
  }

  /** Nested plain arrays of strings. */
  toNested(): unknown {
    const build = (axis: number, offset: number, width: number): unknown => {
      if (axis === this.rank) return this.get(offset);
      const step = this.shape[axis] === 0 ? 0 : width / this.shape[axis]!;
      return Array.from({ length: this.shape[axis]! }, (_, i) => build(axis + 1, offset + i * step, step));
    };
    return build(0, 0, this.size);
  }

  /** The same strings under another shape. */
  reshape(shape: readonly number[]): StringArray {
    return new StringArray(this.bytes, this.offsets, shape);
  }

  [inspect.custom](): string {
    return `StringArray ${shapeText(this.shape)} ${this.size <= 64 ? inspect(this.toNested()) : `of ${this.size} strings`}`;
  }
}

const loneSurrogate = /\p{Surrogate}/u;
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const maxBytes = 2 ** 31 - 1;
/** How long the event loop may wait for a piece of a large conversion, in milliseconds. */
const slice = 2;

/** Whether something is strings rather than numbers: the first element decides. */
export function isStringInput(value: unknown): value is StringInput {
  let item = value;
  while (Array.isArray(item)) item = item[0];
  return typeof item === 'string' || item instanceof StringArray;
}

/** Converts nested arrays of strings in pieces of about 2 ms, between which other callbacks run. */
export async function stringsOf(value: unknown, name: string): Promise<StringArray> {
  const work = convert(value, name);
  let started = performance.now();
  for (let step = work.next(); ; step = work.next()) {
    if (step.done) return step.value;
    if (performance.now() - started < slice) continue;
    await setImmediate();
    started = performance.now();
  }
}

export function stringsNow(value: unknown, name: string): StringArray {
  const work = convert(value, name);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** Yields after every few hundred strings. */
function* convert(value: unknown, name: string): Generator<undefined, StringArray> {
  if (value instanceof StringArray) return value;
  const shape: number[] = [];
  for (let item = value; Array.isArray(item); item = item[0]) shape.push(item.length);
  const offsets = new Int32Array(sizeOf(shape) + 1);
  let bytes = new Uint8Array(Math.max(64, 16 * offsets.length));
  let used = 0;
  let count = 0;
  const path: number[] = [];
  function* fill(item: unknown, axis: number): Generator<undefined, void> {
    if (axis === shape.length) {
      const text = checked(item, path, name);
      // UTF-8 takes at most 3 bytes per UTF-16 unit.
      if (used + text.length * 3 > bytes.length) bytes = grown(bytes, used + text.length * 3);
      used += encoder.encodeInto(text, used === 0 ? bytes : bytes.subarray(used)).written;
      if (used > maxBytes)
        throw new ChainruleError(
          'ERR_CHAINRULE_INPUT',
          `${name}: the strings take more than 2 GiB; pass them in batches, as a Dataset.`,
        );
      offsets[++count] = used;
      if ((count & 0xff) === 0) yield;
      return;
    }
    if (!Array.isArray(item) || item.length !== shape[axis]) {
      const got = Array.isArray(item) ? `${item.length} values` : String(item);
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `${name}: ${place(path)} has ${got} where the rows before it have ${shape[axis]}. Nested arrays must be rectangular.`,
      );
    }
    for (let i = 0; i < item.length; i++) {
      path[axis] = i;
      yield* fill(item[i], axis + 1);
    }
    path.length = axis;
  }
  yield* fill(value, 0);
  return new StringArray(bytes.subarray(0, used), offsets, shape);
}

function grown(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(least, bytes.length * 2));
  larger.set(bytes);
  return larger;
}

const place = (path: readonly number[]): string =>
  path.length === 0
    ? 'the value'
    : path.length === 1
      ? `row ${path[0]}`
      : `row ${path[0]}, column ${path.slice(1).join(', ')}`;

function checked(item: unknown, path: readonly number[], name: string): string {
  const wrong = (what: string): ChainruleError =>
    new ChainruleError('ERR_CHAINRULE_INPUT', `${name}: ${place(path)} is ${what}`, { details: { path: [...path] } });
  if (typeof item !== 'string') {
    const what = Array.isArray(item) ? `an array ${shapeText([item.length])}` : String(item);
    throw wrong(`${what}, a string is expected. Replace or drop such rows.`);
  }
  if (loneSurrogate.test(item))
    throw wrong('a string with a lone surrogate, which UTF-8 cannot hold. Clean it with text.toWellFormed().');
  return item;
}
