import { expect } from 'vitest';
import {
  compute,
  gradients,
  type Layer,
  NDArray,
  ops,
  sequential,
  setRandomSeed,
  type Tensor,
} from '../../lib/index.js';
import type { AnyArray } from '../../lib/ndarray.js';
import { checkMixed } from './mixed_precision.js';
import { type Ref, ref, sizeOf } from './reference.js';

export interface LayerCase {
  make: () => Layer;
  /** Shapes with the batch; several inputs as a list of shapes. */
  input: number[] | number[][];
  /** The layer's output in float64, from its inputs and weights (in the order of layer.weights). */
  reference: (inputs: Ref[], weights: Ref[]) => Ref;
  training?: boolean;
  /** Numbers for the inputs; by default spread between −1 and 1 without ties. */
  values?: (i: number) => number;
  dtype?: 'float32' | 'int32';
  /** Config options to compare besides those of the round trip. */
  config?: Record<string, unknown>;
}

/** Distinct numbers that float32 holds exactly, so that both sides see the same. */
const spread = (i: number): number => Math.fround(Math.sin(i * 12.9898 + 1) * 0.9);

/** What every layer must do: build, forward and gradients against the reference, config round trip, any batch size. */
export async function checkLayer({
  make,
  input,
  reference,
  training = false,
  values = spread,
  dtype = 'float32',
  config,
}: LayerCase): Promise<void> {
  setRandomSeed(7);
  const layer = make();
  const shapes = (Array.isArray(input[0]) ? input : [input]) as number[][];
  const arrays = shapes.map((shape, k) => {
    const numbers = Array.from({ length: sizeOf(shape) }, (_, i) => values(i + 1000 * k));
    return dtype === 'int32'
      ? new NDArray(Int32Array.from(numbers), shape)
      : new NDArray(Float32Array.from(numbers), shape);
  });

  // Forward and gradients of Σ out · cotangent.
  const apply = (tensors: Tensor[]): Tensor => layer.apply(tensors.length === 1 ? tensors[0]! : tensors, { training });
  await compute(() => apply(arrays.map((array) => ops.cast(array, dtype))));
  await Promise.all(
    layer.weights.map((weight, k) =>
      weight.write(
        new NDArray(
          Float32Array.from(
            { length: weight.size },
            (_, i) => spread(i + 77 * k) + (weight.name.includes('variance') ? 1.5 : 0),
          ),
          weight.shape,
        ),
      ),
    ),
  );
  const weights = (await layer.getWeights()).map((array) => ref(array.data, array.shape));
  const inputs = arrays.map((array) => ref(array.data, array.shape));
  const expected = reference(inputs, weights);
  const cotangent = new NDArray(
    Float32Array.from({ length: expected.data.length }, (_, i) => Math.fround(Math.cos(i * 7.1 + 0.3))),
    expected.shape,
  );
  const differentiable = layer.weights.filter((weight) => weight.trainable);
  const got = await compute(() => {
    const tensors = arrays.map((array) => ops.cast(array, dtype));
    const out = apply(tensors);
    const total = ops.sum(ops.multiply(out, cotangent));
    const floats = dtype === 'float32' ? tensors : [];
    const grads = gradients(total, [...floats, ...differentiable]);
    return { out, grads: grads.map((grad, i) => grad ?? ops.zerosLike([...floats, ...differentiable][i]!)) };
  });
  expect(got.out.shape).toEqual(expected.shape);
  close(got.out.data, expected.data, `${layer.className} forward`);

  const objective = (): number =>
    reference(inputs, weights).data.reduce((sum, value, i) => sum + value * cotangent.data[i]!, 0);
  const numeric = [
    ...(dtype === 'float32' ? inputs : []),
    ...layer.weights.flatMap((weight, i) => (weight.trainable ? [weights[i]!] : [])),
  ].map((one) => differences(one, objective));
  for (const [i, gradient] of numeric.entries())
    close(got.grads[i]!.data, gradient, `${layer.className} gradient ${i}`);

  await checkMixed(make, arrays as AnyArray[], training);
  roundTrip(layer, config);
  if (shapes.length === 1 && !training) await anyBatch(layer, arrays[0]!);
}

/** Central differences in float64, as exact as float32 kernels can be judged. */
function differences(x: Ref, objective: () => number): number[] {
  return x.data.map((value, i) => {
    const h = 6e-6 * Math.max(1, Math.abs(value));
    x.data[i] = value + h;
    const up = objective();
    x.data[i] = value - h;
    const down = objective();
    x.data[i] = value;
    return (up - down) / (2 * h);
  });
}

/** max |got − want| / max |want| ≤ 4e-6 plus what the differences themselves lose (class E4). */
function close(got: ArrayLike<number>, want: readonly number[], what: string): void {
  expect(got.length, what).toBe(want.length);
  const scale = Math.max(...want.map(Math.abs), 1e-3);
  const worst = Math.max(0, ...want.map((value, i) => Math.abs(got[i]! - value)));
  expect(worst / scale, `${what}: largest error ${worst} at scale ${scale}`).toBeLessThanOrEqual(6e-6);
}

function roundTrip(layer: Layer, config: Record<string, unknown> | undefined): void {
  const written = JSON.parse(JSON.stringify(layer.getConfig())) as Record<string, unknown>;
  const made = (layer.constructor as unknown as { fromConfig(config: object): Layer }).fromConfig(written);
  // A layer inside says what it was built for; the new one is not built yet.
  const unbuilt = (config: object): unknown =>
    JSON.parse(JSON.stringify(config, (key, value) => (key === 'build_config' ? undefined : value)));
  expect(unbuilt(made.getConfig())).toEqual(unbuilt(written));
  if (config) expect(written).toMatchObject(config);
}

/** A row's result does not depend on the batch it comes in, bit for bit. */
async function anyBatch(layer: Layer, x: AnyArray): Promise<void> {
  const model = sequential([layer]);
  model.build([null, ...x.shape.slice(1)]);
  const all = await model.predict(x);
  for (const size of [1, x.shape[0]! - 1]) {
    if (size < 1) continue;
    const part = await model.predict(x.rows(0, size));
    expect(part.data).toEqual(all.rows(0, size).data);
  }
}
