/**
 * Data that every framework's program can make for itself, so that losses agree before anything is timed: a hash of the
 * element's index (the finaliser of MurmurHash3).
 */
export function hashes(seed: number, count: number): Uint32Array {
  const offset = Math.imul(seed, 0x9e3779b9);
  return Uint32Array.from({ length: count }, (_, i) => {
    let h = (i + offset) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  });
}

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Values in [-1, 1). */
export function uniform(seed: number, ...shape: number[]): Float32Array {
  return Float32Array.from(hashes(seed, size(shape)), (h) => h / 2147483648 - 1);
}

/** Integers in [0, classes). */
export function integers(seed: number, classes: number, ...shape: number[]): Int32Array {
  return Int32Array.from(hashes(seed, size(shape)), (h) => h % classes);
}

/** A kernel in Keras's layout, uniform within Glorot's limit. */
export function glorot(seed: number, ...shape: number[]): Float32Array {
  const receptive = size(shape.slice(0, -2));
  const limit = Math.fround(Math.sqrt(6 / (receptive * ((shape.at(-2) ?? 1) + (shape.at(-1) ?? 1)))));
  return uniform(seed, ...shape).map((value) => value * limit);
}
