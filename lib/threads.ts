import { ChainruleError } from './errors.js';
import { native } from './native.js';

/**
 * How many threads the engine may use in this process, from the next step on; 0 goes back to the default (the smallest of
 * CPU affinity, cgroup quota and physical cores). Results do not depend on it, bit for bit.
 *
 * @throws ERR_CHAINRULE_VALUE for anything but a whole number from 0 to 1024.
 */
export function setNumThreads(threads: number): void {
  if (!Number.isInteger(threads) || threads < 0 || threads > 1024) {
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `setNumThreads takes a whole number from 0 to 1024, got ${threads}.`,
    );
  }
  native.configure({ threads });
}
