import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as H5wasm from 'h5wasm/node' with { 'resolution-mode': 'import' };
import { functional, input, layers, NDArray, ops, sequential, setRandomSeed } from '../../../lib/index.js';

/** A whole file to begin with. */
export interface Seed {
  name: string;
  content: Uint8Array;
  /** Of a .keras file: its members. */
  members?: Map<string, Uint8Array>;
}

/** A handful of valid files that between them use every part of the readers. */
export async function makeSeeds(folder: string): Promise<Seed[]> {
  setRandomSeed(5);
  const stack = sequential([
    layers.dense({ units: 3, activation: 'relu', inputShape: [4], name: 'one' }),
    layers.batchNormalization({ name: 'two' }),
    layers.dense({ units: 2, name: 'three' }),
  ]);
  stack.compile({ optimizer: 'adam', loss: 'mse', metrics: ['mae'] });
  const x = new NDArray(new Float32Array(32).fill(0.5), [8, 4]);
  await stack.fit(x, new NDArray(new Float32Array(16), [8, 2]), { verbose: 0 });
  const paths = ['a.keras', 'b.keras', 'c.weights.h5', 'd.safetensors', 'e.h5'].map((name) => join(folder, name));
  await stack.save(paths[0]!);
  await stack.saveWeights(paths[2]!);
  await stack.saveWeights(paths[3]!);
  const [a, b] = [input({ shape: [6, 3], name: 'a' }), input({ shape: [4], name: 'b' })];
  const merged = layers.concatenate([layers.lstm({ units: 3, name: 'memory' }).apply(a), ops.relu(b)]);
  const graph = functional({ inputs: [a, b], outputs: layers.dense({ units: 2 }).apply(merged) });
  await graph.save(paths[1]!);
  await legacy(paths[4]!);
  const { KerasArchive } = await import('../../../lib/models/saving/archive.js');
  return Promise.all(
    paths.map(async (path): Promise<Seed> => {
      const name = path.slice(folder.length + 1);
      const content = new Uint8Array(readFileSync(path));
      if (!name.endsWith('.keras')) return { name, content };
      const archive = await KerasArchive.open(path);
      const members = new Map<string, Uint8Array>([
        ['metadata.json', Buffer.from('{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}')],
        ['config.json', Buffer.from(JSON.stringify(await archive.config()))],
        ['model.weights.h5', await archive.weights()],
      ]);
      await archive.close();
      return { name, content, members };
    }),
  );
}

/** A model of Keras 2, with packed chunks and texts of variable length, from the HDF5 library itself. */
async function legacy(path: string): Promise<void> {
  const h5wasm: typeof H5wasm = await import('h5wasm/node');
  await h5wasm.ready;
  const file = new h5wasm.File(path, 'w');
  const dense = (name: string, units: number, more: object = {}): object => ({
    class_name: 'Dense',
    config: { name, units, activation: 'linear', use_bias: true, ...more },
  });
  const config = { name: 'old', layers: [dense('one', 5, { batch_input_shape: [null, 20] }), dense('two', 2)] };
  file.create_attribute('model_config', JSON.stringify({ class_name: 'Sequential', config }));
  file.create_attribute('keras_version', '2.4.0');
  const root = file.create_group('model_weights');
  root.create_attribute('layer_names', ['one', 'two'], [2], 'S3');
  for (const [name, shape] of [
    ['one', [20, 5]],
    ['two', [5, 2]],
  ] as const) {
    const group = root.create_group(name);
    group.create_attribute('weight_names', [`${name}/kernel:0`, `${name}/bias:0`], [2], 'S12');
    const inner = group.create_group(name);
    const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(i));
    const packed = { chunks: [3, 2], compression: 'gzip' as const, compression_opts: [4] };
    inner.create_dataset({ name: 'kernel:0', data, shape: [...shape], dtype: '<f4', ...packed });
    inner.create_dataset({ name: 'bias:0', data: new Float32Array(shape[1]), shape: [shape[1]], dtype: '<f4' });
  }
  file.close();
}
