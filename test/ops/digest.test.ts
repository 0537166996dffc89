import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { differing, digestAll } from './digest.js';

// Run by isa.test.ts in processes of their own, once per instruction set; by itself it shows that a run repeats its bits.

test('every row gives the same bits twice', { timeout: 120_000 }, async () => {
  const digests = await digestAll();
  expect(differing(digests, await digestAll())).toEqual([]);
  const file = process.env.CHAINRULE_TEST_DIGESTS;
  if (file) writeFileSync(file, JSON.stringify({ isa: native.info().isa, digests }));
});
