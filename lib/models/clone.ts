import { optionsFromConfig } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { CallOptions } from '../graph/history.js';
import { flatten, mapStructure, type Structure } from '../graph/structure.js';
import { isSymbolic, type Tensor } from '../graph/tensor.js';
import { bfloat16Weights, storeBfloat16 } from '../layers/bfloat16.js';
import { InputLayer, input } from '../layers/input.js';
import { isLayer, type Layer } from '../layers/layer.js';
import { Functional } from './functional.js';
import type { Model } from './model.js';
import { allLayers } from './quantize.js';
import { Sequential } from './sequential.js';

/** What became of each layer. A layer that several models share is one in their copies, too. */
type Copies = Map<Layer, Layer>;

const isNetwork = (layer: Layer): layer is Sequential | Functional =>
  layer instanceof Sequential || layer instanceof Functional;

/** A model of the same architecture with new weights and, inside, layers of the same names. */
export function cloneModel<M extends Model>(model: M): M {
  const copies: Copies = new Map();
  const copy = withoutStorage(model, copies);
  for (const [layer, made] of copies) {
    // Layers of a network have copies of their own; those inside other layers are made by these, in the same order.
    const inside = isNetwork(layer) ? [] : allLayers(made);
    for (const [i, one] of (isNetwork(layer) ? [] : allLayers(layer)).entries()) {
      if (one.weightsStoredAs) for (const weight of bfloat16Weights(inside[i]!)) storeBfloat16(inside[i]!, weight);
    }
  }
  return copy;
}

function withoutStorage<M extends Model>(model: M, copies: Copies): M {
  if (model instanceof Sequential) {
    const copy = new Sequential(
      model.layers.map((layer) => cloneLayer(layer, copies)),
      { name: model.name },
    );
    if (model.built && !copy.built) copy.build(model.inputs[0]!.shape);
    return copy as unknown as M;
  }
  if (model instanceof Functional) return cloneFunctional(model, copies) as unknown as M;
  throw new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `cloneModel: model "${model.name}" is a class of its own; make another with new ${model.className}().`,
  );
}

function cloneLayer(layer: Layer, copies: Copies): Layer {
  let copy = copies.get(layer);
  if (!copy) copies.set(layer, (copy = isNetwork(layer) ? withoutStorage(layer as Model, copies) : fromConfig(layer)));
  return copy;
}

function fromConfig(layer: Layer): Layer {
  const make = layer.constructor as new (options: Record<string, unknown>) => Layer;
  const inputShape = layer.inputShape && { inputShape: layer.inputShape };
  return new make({ ...optionsFromConfig(layer.getConfig()), ...inputShape });
}

/** Every recorded call is made again, on copies of the layers. */
function cloneFunctional(model: Functional, copies: Copies): Functional {
  const values = new Map<Tensor, Tensor>();
  for (const tensor of model.inputs) {
    const layer = tensor.origin!.node.operation.layer;
    const name = layer instanceof InputLayer ? layer.name : undefined;
    values.set(
      tensor,
      input({
        shape: tensor.shape.slice(1),
        dtype: tensor.hostDtype ?? tensor.dtype,
        ...(name && { name }),
      }),
    );
  }
  const now = (leaf: unknown): unknown => (isSymbolic(leaf) ? values.get(leaf) : leaf);
  for (const node of model.network.nodes) {
    if (node.outputs.every((output) => values.has(output))) continue;
    const args = mapStructure(node.args, now);
    const options = mapStructure(node.options, now) as CallOptions;
    const { layer } = node.operation;
    let result: unknown;
    if (isLayer(layer)) result = cloneLayer(layer, copies).apply(args as Tensor, options);
    else result = node.operation.replay(args, options);
    for (const [i, leaf] of flatten(result).entries()) values.set(node.outputs[i]!, leaf.item as Tensor);
  }
  const renewed = (structure: unknown): Structure<Tensor> => mapStructure(structure, now) as Structure<Tensor>;
  return new Functional(renewed(model.inputStructure), renewed(model.network.outputs), { name: model.name });
}
