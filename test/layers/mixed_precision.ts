import { expect } from 'vitest';
import {
  compute,
  gradients,
  type Layer,
  NDArray,
  ops,
  setDtypePolicy,
  setRandomSeed,
  type Tensor,
} from '../../lib/index.js';
import type { AnyArray } from '../../lib/ndarray.js';
import { nearestBfloat16 } from '../ops/cases/bfloat16.js';

const rounded = ({ data, shape }: AnyArray): AnyArray =>
  data instanceof Float32Array
    ? new NDArray(
        data.map((x) => Math.fround(nearestBfloat16(x))),
        shape,
      )
    : new NDArray(data, shape);
const bitsOf = (data: Float32Array): number[] => [...new Uint32Array(data.slice().buffer)];

/**
 * A layer of the policy mixedBfloat16 gives what the float32 layer gives for rounded inputs and weights, rounded; gradients are
 * those of that layer, not rounded. To the last bit, unless layers inside round as well.
 */
export async function checkMixed(make: () => Layer, arrays: AnyArray[], training: boolean): Promise<void> {
  const made = (policy: 'float32' | 'mixedBfloat16'): Layer => {
    setDtypePolicy(policy);
    try {
      setRandomSeed(7);
      return make();
    } finally {
      setDtypePolicy('float32');
    }
  };
  const [mixed, plain] = [made('mixedBfloat16'), made('float32')];
  expect(mixed.dtype).toBe('mixed_bfloat16');
  const config = JSON.parse(JSON.stringify(mixed.getConfig())) as object;
  const read = (mixed.constructor as unknown as { fromConfig(config: object): Layer }).fromConfig(config);
  for (const layer of [read, ...read.sublayers]) expect(layer.dtype, layer.name).toBe('mixed_bfloat16');
  const apply = (layer: Layer, tensors: Tensor[]): Tensor =>
    layer.apply(tensors.length === 1 ? tensors[0]! : tensors, { training });
  const tensorsOf = (list: AnyArray[]): Tensor[] => list.map((array) => ops.cast(array, array.dtype));
  for (const layer of [mixed, plain]) await compute(() => apply(layer, tensorsOf(arrays)).cast('float32'));
  await mixed.setWeights(await plain.getWeights());
  const weights = await plain.getWeights();
  await plain.setWeights(weights.map((array, i) => (plain.weights[i]!.autocast ? rounded(array) : array)) as NDArray[]);
  expect(mixed.weights.map(({ dtype }) => dtype)).toEqual(plain.weights.map(({ dtype }) => dtype));

  const run = (layer: Layer, list: AnyArray[]) =>
    compute(() => {
      const tensors = tensorsOf(list);
      const out = apply(layer, tensors);
      const wrt = [...tensors.filter(({ dtype }) => dtype === 'float32'), ...layer.trainableWeights];
      const count = out.dims.reduce((product, dim) => product * dim, 1);
      const cotangent = ops.add(ops.cos(ops.reshape(ops.arange(count), [...out.dims])), 2);
      const total = ops.sum(ops.multiply(out, cotangent));
      const grads = gradients(total, wrt).map((grad, i) => grad ?? ops.zerosLike(wrt[i]!));
      return { out, grads };
    });
  const got = await run(mixed, arrays);
  const want = await run(plain, arrays.map(rounded));
  const exact = want.out.dtype === 'float32' ? rounded(want.out as AnyArray).data : want.out.data;
  expect(got.out.dtype).toBe(want.out.dtype === 'float32' ? 'bfloat16' : want.out.dtype);
  const inside = mixed.sublayers.length > 0;
  const largest = (list: ArrayLike<number>[]): number =>
    Math.max(1e-3, ...list.map((data) => Math.max(0, ...Array.from(data, Math.abs))));
  // A few roundings to 8 bits, one after the other; in gradients of sums whose parts are as large as any gradient.
  const close = (a: ArrayLike<number>, b: ArrayLike<number>, scale: number, what: string): void => {
    for (let i = 0; i < b.length; i++) expect(Math.abs(a[i]! - b[i]!), what).toBeLessThanOrEqual(scale * 2 ** -5);
  };
  const scale = largest(want.grads.map(({ data }) => data));
  if (inside) close(got.out.data, exact as Float32Array, largest([exact]), 'forward');
  else expect(bitsOf(got.out.data as Float32Array)).toEqual(bitsOf(exact as Float32Array));
  got.grads.forEach((grad, i) => {
    expect(grad.dtype).toBe('float32');
    if (inside) close(grad.data, want.grads[i]!.data, scale, `gradient ${i}`);
    else expect(bitsOf(grad.data), `gradient ${i}`).toEqual(bitsOf(want.grads[i]!.data));
  });
}
