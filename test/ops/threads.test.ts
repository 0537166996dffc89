import { afterAll, expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { differing, digestAll } from './digest.js';

// Work is split over outputs, never over what is summed: no thread count may change a bit. A threshold of 0 sends every step to
// the whole team, also those of one element.

const first = (() => {
  native.configure({ threads: 1, parallelThreshold: 0 });
  return digestAll();
})();

afterAll(() => native.configure({ threads: native.info().threads }));

test.each([2, 3, 4, 8])('%i threads give the bits of one', { timeout: 120_000 }, async (threads) => {
  const alone = await first;
  native.configure({ threads, parallelThreshold: 0 });
  expect(native.info().threads).toBe(threads);
  expect(differing(alone, await digestAll())).toEqual([]);
});
