import { expect, test } from 'vitest';
import { Builder, variable } from '../ir/builder.js';

/** As a batch norm and its gradient: x - mean and the relu of it are read before a product, and again after it. */
function build(kept: boolean) {
  const b = new Builder();
  const x = b.input('x', -1, 16);
  const apart = b.op('sub', [x, b.op('reduceMax', [x], { axes: [0], keepDims: true })]);
  const positive = b.op('relu', [b.op('add', [apart, b.graph.read(variable('offset', 16))])]);
  const product = b.op('matmul', [
    b.op('mul', [positive, b.graph.read(variable('factor', 16))]),
    b.graph.read(variable('kernel', 16, 16)),
  ]);
  const gradient = b.op('mul', [b.op('whenPositive', [positive, b.op('tanh', [product])]), apart]);
  return b.graph.compileSync(kept ? [gradient, apart, positive] : [gradient]);
}

test('what is cheap and read again later is computed again, with the same bits', () => {
  const data = Float32Array.from({ length: 64 * 16 }, (_, i) => Math.sin(i * 1.7));
  const again = build(false);
  const once = build(true);
  // Only the factor of the product leaves the elementwise program before it.
  expect(again.describe()).toMatch(/island .* -> float32\[N, 16\]\n/);
  expect(once.describe()).toMatch(/island .* -> float32\[N, 16\], float32\[N, 16\], float32\[N, 16\]\n/);
  const [found] = again.runSync([{ data, shape: [64, 16] }]);
  const [expected] = once.runSync([{ data, shape: [64, 16] }]);
  expect(found!.data).toEqual(expected!.data);
  expect((found!.data as Float32Array).some((value) => value !== 0)).toBe(true);
});
