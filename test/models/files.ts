import { writeFileSync } from 'node:fs';
import { planHdf5, type WrittenDataset, type WrittenGroup } from '../../lib/formats/hdf5/index.js';
import { zip } from '../formats/zip_bytes.js';

type Members = Record<string, WrittenGroup | WrittenDataset>;

export const group = (members: Members = {}, attributes: WrittenGroup['attributes'] = {}): WrittenGroup => ({
  members: new Map(Object.entries(members)),
  attributes,
});

/** An array of float32 with these numbers. */
export function array(shape: number[], values: readonly number[]): WrittenDataset {
  return { kind: 'float32', shape, read: () => Float32Array.from(values) };
}

export async function hdf5Bytes(root: WrittenGroup): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of planHdf5(root).pieces()) parts.push(Uint8Array.from(piece));
  return Buffer.concat(parts);
}

/** A `.keras` file with any description and any weights. */
export async function writeKeras(path: string, config: unknown, weights: WrittenGroup | Uint8Array): Promise<void> {
  const content = weights instanceof Uint8Array ? weights : await hdf5Bytes(weights);
  writeFileSync(
    path,
    zip([
      { name: 'metadata.json', data: Buffer.from('{"keras_version": "3.15.1", "date_saved": ""}') },
      { name: 'config.json', data: Buffer.from(typeof config === 'string' ? config : JSON.stringify(config)) },
      { name: 'model.weights.h5', data: content },
    ]),
  );
}

/** A whole model of Keras 1 or 2: its description, and the weights of its layers by their names. */
export async function writeLegacy(
  path: string,
  config: unknown,
  layers: Record<string, Record<string, WrittenDataset>>,
  { training, optimizer }: { training?: unknown; optimizer?: Record<string, WrittenDataset> } = {},
): Promise<void> {
  const weights: Members = {};
  for (const [layer, arrays] of Object.entries(layers)) {
    const names = Object.keys(arrays);
    const inner = nested(arrays);
    weights[layer] = { ...inner, attributes: { weight_names: names } };
  }
  const root = group(
    {
      model_weights: group(weights, { layer_names: Object.keys(layers), backend: 'tensorflow' }),
      ...(optimizer && {
        optimizer_weights: { ...nested(optimizer), attributes: { weight_names: Object.keys(optimizer) } },
      }),
    },
    {
      keras_version: '2.4.0',
      backend: 'tensorflow',
      model_config: JSON.stringify(config),
      ...(training !== undefined && { training_config: JSON.stringify(training) }),
    },
  );
  writeFileSync(path, await hdf5Bytes(root));
}

/** Names with slashes are paths. */
function nested(arrays: Record<string, WrittenDataset>): WrittenGroup {
  const root = group();
  for (const [name, dataset] of Object.entries(arrays)) {
    const parts = name.split('/');
    let at = root;
    for (const part of parts.slice(0, -1)) {
      if (!at.members.has(part)) at.members.set(part, group());
      at = at.members.get(part) as WrittenGroup;
    }
    at.members.set(parts.at(-1)!, dataset);
  }
  return root;
}
