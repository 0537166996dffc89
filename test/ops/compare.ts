import type { Exactness, OpCase, Values } from './case.js';
import { nameOf, referenceOf } from './run.js';

// Judges an array of the engine by float64 values, and takes derivatives of reference functions.

/** Distance between neighbouring float32 numbers around x. */
export function ulp(x: number): number {
  const magnitude = Math.max(Math.abs(Math.fround(x)), 2 ** -126);
  return 2 ** (Math.floor(Math.log2(magnitude)) - 23);
}

export interface Verdict {
  /** Position of the worst element, or -1 when all are right. */
  worst: number;
  message: string;
}

const fine: Verdict = { worst: -1, message: '' };

/** Denormals count as signed zero on both sides: lanes flush them. */
const same = (got: number, want: number): boolean =>
  Object.is(got, want) || (got === want && got !== 0) || isTiny(got, want);
const isTiny = (got: number, want: number): boolean => Math.abs(got) < 2 ** -126 && Math.abs(want) < 2 ** -126;

export function judge(
  got: ArrayLike<number>,
  want: Float64Array,
  exactness: Exactness,
  magnitudes?: Float64Array,
  slack = 0,
): Verdict {
  if (got.length !== want.length) return { worst: 0, message: `${got.length} elements instead of ${want.length}` };
  let largest = 0;
  for (const value of want) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  const allowed = (i: number): number => {
    if (exactness === 'exact') return 0;
    if (exactness === 'norm') return 4e-6 * largest;
    if ('ulps' in exactness) return exactness.ulps * ulp(want[i]!);
    const gamma = (exactness.terms * 2 ** -24) / (1 - exactness.terms * 2 ** -24);
    return gamma * magnitudes![i]!;
  };
  let worst = -1;
  let excess = 1;
  for (let i = 0; i < want.length; ++i) {
    if (same(got[i]!, Math.fround(want[i]!)) || (got[i]! === want[i]! && Number.isInteger(want[i]!) && want[i] !== 0))
      continue;
    const error = Math.abs(got[i]! - want[i]!);
    const ratio = error / (allowed(i) + slack * Math.max(largest, 1));
    if (ratio <= 1 || (worst >= 0 && ratio <= excess)) continue;
    worst = i;
    excess = Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
  }
  if (worst < 0) return fine;
  const text = `element ${worst}: got ${got[worst]}, want ${want[worst]} (allowed ${allowed(worst)}, largest ${largest})`;
  return { worst, message: text };
}

/** The reference's sum of magnitudes: what rounding errors of sums are measured by. */
export function magnitudesOf(row: OpCase, inputs: Values[], n: number): Float64Array {
  const absolute = inputs.map(({ data, shape }) => ({ shape, data: data.map(Math.abs) }));
  return referenceOf(row, absolute, n).data;
}

/** A power of two near eps^(1/3): differences of linear functions of small integers come out without any error. */
const step = 2 ** -17;
/** What central differences in float64 are worth, relative to values near 1 (about 4e-11, with room for curvature). */
export const differenceError = 2e-9;

/** Gradient of sum(cotangent * reference(inputs)) towards one input, at the given positions, by central differences. */
export function differences(
  row: OpCase,
  inputs: Values[],
  n: number,
  which: number,
  cotangent: Values,
  positions: number[],
): Float64Array {
  const moved = inputs.map(({ data, shape }) => ({ shape, data: Float64Array.from(data) }));
  const data = moved[which]!.data;
  return Float64Array.from(positions, (position) => {
    const x = data[position]!;
    data[position] = x + step;
    const above = referenceOf(row, moved, n).data.slice();
    data[position] = x - step;
    const below = referenceOf(row, moved, n).data;
    let sum = 0;
    for (let i = 0; i < above.length; ++i) {
      const c = cotangent.data[i]!;
      if (c !== 0) sum += (c * (above[i]! - below[i]!)) / (2 * step);
    }
    data[position] = x;
    return sum;
  });
}

/** Every position of a small input, else a sample that holds both ends. */
export function positionsOf(count: number, random: () => number, most = 40): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  const chosen = new Set([0, count - 1]);
  while (chosen.size < most) chosen.add(Math.floor(random() * count));
  return [...chosen];
}

export interface GradientCheck {
  row: OpCase;
  n: number;
  inputs: Values[];
  cotangent: Values;
  /** The engine's gradients, in the order of row.wrt. */
  gradients: ArrayLike<number>[];
  random: () => number;
}

/** Compares gradients with differences; returns what is wrong, or nothing. */
export function checkGradients({ row, n, inputs, cotangent, gradients, random }: GradientCheck): string[] {
  const problems: string[] = [];
  for (const [i, which] of row.wrt!.entries()) {
    const got = gradients[i]!;
    if (got.length !== inputs[which]!.data.length) {
      problems.push(`${nameOf(row)}: gradient of input ${which} has ${got.length} elements`);
      continue;
    }
    const positions = positionsOf(got.length, random);
    const want = differences(row, inputs, n, which, cotangent, positions);
    const exactness = row.gradientExactness ?? 'norm';
    const picked = positions.map((position) => got[position]!);
    const verdict = judge(picked, want, exactness, undefined, exactness === 'exact' ? 0 : differenceError);
    if (verdict.worst >= 0) problems.push(`${nameOf(row)}, N = ${n}, gradient of input ${which}: ${verdict.message}`);
  }
  return problems;
}
