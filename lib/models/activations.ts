import { type DataInput, toTable } from '../data/columns.js';
import { ChainruleError } from '../errors.js';
import { flatten } from '../graph/structure.js';
import type { Tensor } from '../graph/tensor.js';
import { InputLayer } from '../layers/input.js';
import type { TensorStructure } from '../layers/layer.js';
import type { NDArray } from '../ndarray.js';
import { checkRules } from '../rules.js';
import { isHostNode } from './front.js';
import type { Model } from './model.js';
import type { Network } from './network.js';
import { type PredictOptions, predictRules } from './predict.js';
import { buildPredict } from './programs.js';
import { tableOptions } from './source.js';

/** What inner layers give for data, by layer name; a layer that was called several times gives `name`, `name:1`, … */
export async function activationsOf(
  model: Model,
  x: DataInput,
  layerNames: readonly string[] | undefined,
  options: PredictOptions,
): Promise<Record<string, NDArray>> {
  checkRules('activations', options, predictRules);
  model.needBuilt('activations');
  const { network } = model as Model & { network?: Network };
  if (!network)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `activations: model "${model.name}" is a class of its own; return what you want to see from its call.`,
    );
  for (const name of layerNames ?? []) model.getLayer(name);
  const wanted: Record<string, Tensor> = {};
  for (const layer of model.layers) {
    if (layer instanceof InputLayer || (layerNames && !layerNames.includes(layer.name))) continue;
    network.nodes
      .filter((node) => node.operation.layer === layer)
      // What only host layers take is no tensor of the traced part.
      .filter((node) => !isHostNode(node) || node.outputs.every((output) => network.starts.includes(output)))
      .forEach((node, i) => {
        if (node.outputs.length === 1) wanted[i === 0 ? layer.name : `${layer.name}:${i}`] = node.outputs[0]!;
      });
  }
  const table = await toTable({ x }, tableOptions(model, options.allowNonFinite));
  const call = (inputs: TensorStructure): TensorStructure =>
    network.replay(
      network.take(
        flatten(inputs).map((leaf) => leaf.item as Tensor),
        model.name,
      ),
      wanted,
    );
  const { executable } = await buildPredict(model, table, call);
  const arrays = await executable.run(table.arrays, { signal: options.signal });
  return Object.fromEntries(Object.keys(wanted).map((name, i) => [name, arrays[i]!]));
}
