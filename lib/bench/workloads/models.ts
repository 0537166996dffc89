import * as layers from '../../layers/index.js';
import { type Model, sequential } from '../../models/index.js';
import { type AnyArray, NDArray } from '../../ndarray.js';
import { glorot, integers, uniform } from '../data.js';

export type Loss = 'binaryCrossentropy' | 'sparseCategoricalCrossentropy' | 'meanSquaredError';

const KERNELS = ['kernel', 'recurrent_kernel', 'depthwise_kernel', 'embeddings'];

/**
 * Kernels by formula (seed 1000 + their number), embeddings a twentieth of uniform values, all else as Keras starts it:
 * the same weights in every framework. The kernels of attention with a head axis count as square matrices.
 */
export async function withFixedWeights<M extends Model>(
  model: M,
  seedOf = (kernel: number) => 1000 + kernel,
): Promise<M> {
  let kernels = 0;
  const values = model.weights.map((variable) => {
    if (!KERNELS.includes(variable.name)) return undefined;
    const { shape } = variable;
    const seed = seedOf(kernels++);
    const side = Math.sqrt(variable.size);
    if (variable.name === 'embeddings') return { variable, data: uniform(seed, ...shape).map((value) => value * 0.05) };
    return { variable, data: shape.length === 3 ? glorot(seed, side, side) : glorot(seed, ...shape) };
  });
  for (const value of values) if (value) await value.variable.write(new NDArray(value.data, value.variable.shape));
  return model;
}

/** Rows of uniform numbers and a label for each: a class, or 0 and 1 where there is one output. */
export function batchOf(shape: readonly number[], outputs: number): { x: AnyArray; y: AnyArray } {
  const rows = shape[0] ?? 1;
  const labels = integers(2, Math.max(outputs, 2), rows);
  return {
    x: new NDArray(uniform(1, ...shape), shape),
    y: outputs === 1 ? new NDArray(Float32Array.from(labels), [rows, 1]) : new NDArray(labels, [rows]),
  };
}

/** Dense layers with relu between them and the loss's own activation at the end. */
export async function denseNetwork(
  sizes: readonly number[],
  loss: Loss,
  metrics: readonly 'accuracy'[] = [],
): Promise<Model> {
  const last = loss === 'sparseCategoricalCrossentropy' ? 'softmax' : 'sigmoid';
  const [features = 1, ...units] = sizes;
  const model = sequential(
    units.map((width, i) =>
      layers.dense({
        units: width,
        activation: i + 1 < units.length ? 'relu' : last,
        ...(i === 0 ? { inputShape: [features] } : {}),
      }),
    ),
  );
  model.compile({ optimizer: 'adam', loss, metrics: [...metrics] });
  return withFixedWeights(model);
}
