import { ChainruleError } from '../errors.js';
import { shapeText } from '../ndarray.js';

/** Bytes that variables may still take while a file is being loaded: it cannot ask for more than it brings. */
export interface Budget {
  left: number;
}

let current: Budget | undefined;

export function withBudget<T>(budget: Budget, fn: () => T): T {
  const outer = current;
  current = budget;
  try {
    return fn();
  } finally {
    current = outer;
  }
}

/** Takes what a variable needs. @internal */
export function charge(name: string, shape: readonly number[]): void {
  if (!current) return;
  current.left -= shape.reduce((product, dim) => product * dim, 4);
  if (current.left >= 0) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_FORMAT',
    `the description asks for more weights than the file holds (at "${name}", of shape ${shapeText(shape)}).`,
  );
}
