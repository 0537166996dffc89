import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';

// Data sets and recipes lie beside the repository; a machine without them skips these tests.

const shared = process.env.CHAINRULE_SHARED ?? join(__dirname, '../../../shared');
export const isThere = existsSync(join(shared, 'golden-e2e')) && existsSync(join(shared, 'data'));
if (!isThere) console.log(`test/e2e skipped: there are no data and recipes in ${shared} (or set CHAINRULE_SHARED)`);

export interface Bounds {
  perSeed: number[];
  mean: number;
  floor?: number;
  ceiling?: number;
}
export interface Fingerprint {
  shape: number[];
  sum: number;
  sumOfSquares: number;
  first: number[];
  last: number[];
}
export interface Recipe {
  job: string;
  data: string;
  preprocessing: {
    numericColumns: number[];
    categoricalColumns: number[];
    vocabulary?: { size: number; first: string[]; last: string[]; sha256OfJoinedByNewline: string };
  };
  training: {
    epochs: number;
    batchSize: number;
    loss: string;
    optimizer: { class: string; learning_rate: number; clipnorm?: number | null };
  };
  primary: string[];
  seeds: number[];
  results: Record<string, Bounds>;
  inputCheck: Record<'train' | 'trainTargets' | 'test' | 'testTargets', Fingerprint>;
}

export const recipe = (job: string): Recipe =>
  JSON.parse(readFileSync(join(shared, 'golden-e2e', `${job}.json`), 'utf8')) as Recipe;

export const unpack = (file: string): Buffer => gunzipSync(readFileSync(join(shared, 'data', file)));

export interface Table {
  data: Float32Array;
  shape: number[];
}
export interface Split {
  train: Table;
  trainTargets: Table;
  test: Table;
  testTargets: Table;
}

/** What differs from the recipe's fingerprint of an array. The data path must be right before training tells anything. */
export function differsFrom({ data, shape }: Table, want: Fingerprint): string[] {
  const problems: string[] = [];
  if (shape.join() !== want.shape.join()) problems.push(`shape ${shape} instead of ${want.shape}`);
  const sum = data.reduce((a, b) => a + b, 0);
  const squares = data.reduce((a, b) => a + b * b, 0);
  // Fingerprints are of float32 arrays in six decimals: rounding of the elements is what is allowed.
  const close = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * squares + 2e-6;
  if (!close(sum, want.sum)) problems.push(`sum ${sum} instead of ${want.sum}`);
  if (!close(squares, want.sumOfSquares)) problems.push(`sum of squares ${squares} instead of ${want.sumOfSquares}`);
  const ends = [...data.slice(0, want.first.length), ...data.slice(data.length - want.last.length)];
  for (const [i, value] of [...want.first, ...want.last].entries()) {
    if (Math.abs(ends[i]! - value) > 2e-6) problems.push(`end value ${i} is ${ends[i]} instead of ${value}`);
  }
  return problems;
}

/** All four arrays of a split against their fingerprints. */
export function checkInput({ inputCheck }: Recipe, split: Split): void {
  for (const [name, table] of Object.entries(split))
    expect(differsFrom(table, inputCheck[name as keyof Split]), name).toEqual([]);
}

/** The digits as IDX files: pixels divided by 255. */
export function digits(shape: number[]): Split {
  const images = (file: string): Table => {
    const bytes = unpack(`mnist10k/${file}-images-idx3-ubyte.gz`);
    return {
      data: Float32Array.from(bytes.subarray(16), (pixel) => pixel / 255),
      shape: [bytes.readUInt32BE(4), ...shape],
    };
  };
  const labels = (file: string): Table => {
    const bytes = unpack(`mnist10k/${file}-labels-idx1-ubyte.gz`);
    return { data: Float32Array.from(bytes.subarray(8)), shape: [bytes.readUInt32BE(4)] };
  };
  return { train: images('train'), trainTargets: labels('train'), test: images('t10k'), testTargets: labels('t10k') };
}
