import { createHash } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { convolutional, labels, wave } from './models.js';

// Training, dropout and shuffling included, gives the same bits on any number of threads.

const usual = native.info().threads;
afterAll(() => native.configure({ threads: usual }));

async function digestOfTraining(threads: number): Promise<string> {
  native.configure({ threads, parallelThreshold: 0 });
  const model = convolutional(8);
  await model.fit(wave([70, 12, 12, 3]), labels(70, 10), { epochs: 2, batchSize: 32, verbose: 0 });
  const hash = createHash('sha256');
  for (const { data } of await model.getWeights())
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}

test('trained weights are bit-equal for 1, 2, 3, 4 and 8 threads', { timeout: 120_000 }, async () => {
  const alone = await digestOfTraining(1);
  for (const threads of [2, 3, 4, 8]) expect(await digestOfTraining(threads), `${threads} threads`).toBe(alone);
});
