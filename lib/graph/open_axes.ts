import { ChainruleError } from '../errors.js';

// Axes of a symbolic tensor whose length only the data tell (null in an input's shape). Programs are traced for the
// lengths that come; what a call gives for an unknown length is found out by making it at two lengths that stand in.

/** The dimension of an axis of unknown length. */
export const openLength = Number.NaN;
/** The dimension of an unknown multiple of the batch: rows and an open axis in one. */
const openRows = Number.NEGATIVE_INFINITY;

export const isOpen = (dim: number): boolean => !Number.isFinite(dim);
export const hasOpenAxis = (dims: readonly number[]): boolean => dims.some(isOpen);

/**
 * Pairs of lengths to try: powers of 2, which strides divide, first those that are cheap where a layer takes step by
 * step, then longer ones for windows that would not fit.
 */
const pairs = [
  [128, 256],
  [2048, 4096],
] as const;

/** Dimensions with a length in the place of unknown ones. */
export function atLength(dims: readonly number[], length: number): number[] {
  return dims.map((dim) => (Number.isNaN(dim) ? length : dim === openRows ? -length : dim));
}

/** What stays the same at two lengths; the rest is open. */
export function common(first: readonly number[], second: readonly number[]): number[] {
  return first.map((dim, axis) => (dim === second[axis] ? dim : dim < 0 ? openRows : openLength));
}

/** Makes a call at two lengths; `standIn` gives each call its length and, the second time, the one before. */
export function atTwoLengths<T>(what: string, call: (length: number, before?: number) => T): [T, T] {
  let failure: unknown;
  for (const [short, long] of pairs) {
    let first: T;
    try {
      first = call(short);
    } catch (error) {
      failure ??= error;
      continue;
    }
    try {
      return [first, call(long, short)];
    } catch (error) {
      throw dependent(what, short, long, error);
    }
  }
  throw unfit(what, pairs[0][0], failure);
}

function dependent(what: string, short: number, long: number, error: unknown): unknown {
  if (!(error instanceof ChainruleError)) return error;
  return new ChainruleError(
    error.code,
    `${what} depends on the length of an axis that is not known (null in an input's shape): it can be made for ${short} and not for ${long} at once (${error.message}). Give the axis a length, or pool over it before.`,
    { details: error.details, cause: error },
  );
}

function unfit(what: string, length: number, error: unknown): unknown {
  if (!(error instanceof ChainruleError) || !error.message.includes(String(length))) return error;
  return new ChainruleError(
    error.code,
    `${error.message.replace(/\.$/, '')}. ${what} was tried with ${length} for the axes of unknown length (null).`,
    { details: error.details, cause: error },
  );
}
