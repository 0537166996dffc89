import type { Tensor } from '../../graph/tensor.js';
import { abs, greaterEqual, less, logicalAnd, subtract } from '../../ops/math.js';
import { expandDims, iota } from '../../ops/shape.js';

// Boolean masks over [N, queries, keys]: true where a query sees a key.

/** The masks that are there, all of which must agree. */
export function every(...masks: readonly (Tensor | undefined)[]): Tensor | undefined {
  const given = masks.filter((mask) => mask !== undefined);
  return given.length === 0 ? undefined : given.reduce((all, mask) => logicalAnd(all, mask));
}

/** A query sees the keys up to its own position: [1, queries, keys]. */
export function causalMask(queries: number, keys: number): Tensor {
  return greaterEqual(iota([1, queries, keys], 1), iota([1, queries, keys], 2));
}

/** A query sees the keys less than `window` positions away: [1, queries, keys]. */
export function windowMask(queries: number, keys: number, window: number): Tensor {
  return less(abs(subtract(iota([1, queries, keys], 1), iota([1, queries, keys], 2))), window);
}

/** A mask with axes of size 1 put in before its last `behind`, up to the given rank. */
export function widened(mask: Tensor, rank: number, behind: number): Tensor {
  let wide = mask;
  while (wide.rank < rank) wide = expandDims(wide, -behind - 1);
  return wide;
}
