import { expect, test } from 'vitest';
import { gelu } from '../../lib/activations/index.js';
import { gradients, type Tensor, trace } from '../../lib/graph/index.js';
import { NDArray } from '../../lib/ndarray.js';
import * as ops from '../../lib/ops/index.js';

// A result larger than the caches is written past them: the same rows over and over must be those of a small result.

const [ROWS, TIMES] = [8, 1100];

const functions: Record<string, (x: Tensor) => Tensor> = {
  softmax: (x) => ops.softmax(x),
  logSoftmax: (x) => ops.logSoftmax(x),
  layerNormalization: (x) => ops.layerNormalization(x, { epsilon: 1e-3 }),
  gelu,
};

async function resultsOf(name: string, width: number, times: number): Promise<Uint8Array[]> {
  const repeated = (factor: number) => {
    const block = Float32Array.from({ length: ROWS * width }, (_, i) => Math.sin(factor * i));
    const data = new Float32Array(times * block.length);
    for (let at = 0; at < data.length; at += block.length) data.set(block, at);
    return new NDArray(data, [times * ROWS, width]);
  };
  const pass = trace(
    ({ x, dy }: { x: Tensor; dy: Tensor }) => {
      const y = functions[name]!(x);
      return [y, ...gradients(y, [x], dy).map((dx) => dx!)];
    },
    { batch: false },
  );
  const results = await pass.run({ x: repeated(1), dy: repeated(0.3) });
  return results.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

test.each<[string, number]>(
  Object.keys(functions).flatMap((name) => [
    [name, 1024],
    [name, 1003], // rows that begin anywhere in a line
  ]),
)('%s of a large tensor, rows of %i', { timeout: 60_000 }, async (name, width) => {
  const small = await resultsOf(name, width, 1);
  const large = await resultsOf(name, width, TIMES);
  for (const [i, block] of small.entries()) {
    expect(large[i]!.length).toBeGreaterThan(32 * 1024 * 1024);
    for (let at = 0; at < large[i]!.length; at += block.length) {
      if (Buffer.compare(large[i]!.subarray(at, at + block.length), block) !== 0)
        expect.fail(`result ${i} differs in the rows from byte ${at} on`);
    }
  }
});
