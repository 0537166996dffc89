import type { AttrValue, DType } from '../../lib/native.js';

// What a row of the op table is. Shapes are encoded as at the border: -k stands for k times the batch size N.

/** Values of a reference: float64, whatever the op's dtype. */
export interface Values {
  data: Float64Array;
  shape: number[];
}

export type Attrs = Record<string, AttrValue>;
export type Reference = (inputs: Values[], attrs: Attrs) => Values;
export type Fill = (random: () => number, index: number, count: number) => number;

export interface Argument {
  dtype: DType;
  shape: number[];
  fill: Fill;
}

/**
 * What "right" means, from the way the number is made, never from what came out:
 * - exact: the float32 next to the reference. Moves, comparisons, one correctly rounded operation, sums of small integers.
 * - ulps: an elementary function, that many units in the last place.
 * - terms: a sum of so many products in any fixed order: gamma_n times the sum of their magnitudes.
 * - norm: a composite: 4e-6 of the largest value, the mark oneDNN holds its float32 kernels to.
 */
export type Exactness = 'exact' | 'norm' | { ulps: number } | { terms: number };

export interface OpCase {
  op: string;
  /** What this row adds to the others of its op; op and about name the test. */
  about: string;
  inputs: Argument[];
  /** How many of the inputs the op takes, all unless said: a further one only carries the batch size into the program. */
  takes?: number;
  attrs?: Attrs;
  /** Which of the op's parts is judged, the first unless said. */
  part?: number;
  /** The batch sizes to run with; one plan each, one graph for all. */
  rows?: number[];
  reference: Reference;
  exactness: Exactness;
  /** dtype of the output, float32 unless said. */
  output?: DType;
  /** Inputs whose gradients are compared with differences of the reference. None: the op has no derivative there. */
  wrt?: number[];
  gradientExactness?: Exactness;
  /** Random cotangents are integers where gradients must be bit-equal. */
  integers?: boolean;
}

export interface ErrorCase {
  op: string;
  about: string;
  inputs: { dtype: DType; shape: number[] }[];
  attrs?: Attrs;
  code: string;
  message: RegExp;
}

/** mulberry32: small, and the same numbers everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function seedOf(text: string): number {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return hash >>> 0;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((total, size) => total * size, 1);

/** A shape (or an attribute that holds one) for a batch of n. */
export const decode = (shape: readonly number[], n: number): number[] => shape.map((d) => (d < 0 ? -d * n : d));

export const values = (
  shape: readonly number[],
  data: ArrayLike<number> = new Float64Array(sizeOf(shape)),
): Values => ({
  data: data instanceof Float64Array ? data : Float64Array.from(data),
  shape: [...shape],
});

/** Calls visit with the multi-index of every element, in row-major order. */
export function eachIndex(shape: readonly number[], visit: (index: number[], position: number) => void): void {
  const index = shape.map(() => 0);
  const count = sizeOf(shape);
  for (let position = 0; position < count; ++position) {
    visit(index, position);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; --axis) index[axis] = 0;
  }
}

/** Position of a multi-index; axes of size 1 are broadcast, missing leading axes too. */
export function positionOf(shape: readonly number[], index: readonly number[]): number {
  const skip = index.length - shape.length;
  let position = 0;
  for (let axis = 0; axis < shape.length; ++axis) {
    position = position * shape[axis]! + (shape[axis] === 1 ? 0 : index[axis + skip]!);
  }
  return position;
}

export const numbers = (attrs: Attrs, name: string, fallback: number[] = []): number[] => [
  ...((attrs[name] as readonly number[] | undefined) ?? fallback),
];

// ---- Fills. Every value is exactly representable in float32, so both sides compute on the same numbers.

export const between =
  (low: number, high: number): Fill =>
  (random) =>
    Math.fround(low + (high - low) * random());

/** Uniform, but not within `gap` of zero: for functions with a pole or a kink there. */
export const awayFromZero =
  (gap: number, high: number): Fill =>
  (random) => {
    const magnitude = gap + (high - gap) * random();
    return Math.fround(random() < 0.5 ? -magnitude : magnitude);
  };

/** Small integers, never mostly zero: sums of their products are exact in float32 in any order. */
export const integers =
  (low: number, high: number): Fill =>
  (random) =>
    low + Math.floor((high - low + 1) * random());

/** All different and at least 1/4 apart, in random order: no ties for max, argmax and sorting. */
export const distinct: Fill = (_random, index, count) => {
  // Steps by a number that shares no divisor with the count visit every residue once.
  let step = Math.max(1, Math.floor(count * 0.381966));
  while (gcd(step, count) !== 1) ++step;
  return (((index + 1) * step) % Math.max(1, count)) * 0.25 - count * 0.125;
};

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

export const bits: Fill = (random) => (random() < 0.5 ? 0 : 1);
export const words: Fill = (random) => Math.floor(random() * 4294967296);

/** The given values, over and over. */
export const cycle =
  (list: readonly number[]): Fill =>
  (_random, index) =>
    list[index % list.length]!;

const argument =
  (dtype: DType) =>
  (shape: number[], fill: Fill): Argument => ({ dtype, shape, fill });
export const f32 = argument('float32');
export const i32 = argument('int32');
export const u32 = argument('uint32');
export const u8 = argument('uint8');
export const bool = argument('bool');
export const i8 = argument('int8');
/** Numbers that bfloat16 holds; they come as float32 and are cast. */
export const bf16 = argument('bfloat16');

/** A tensor whose element at an index is what `pick` finds. */
export function build(shape: number[], pick: (index: number[]) => number): Values {
  const out = values(shape);
  eachIndex(shape, (index, position) => {
    out.data[position] = pick(index);
  });
  return out;
}
