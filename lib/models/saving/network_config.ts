import type { Config } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { HistoryNode } from '../../graph/history.js';
import { mapStructure } from '../../graph/structure.js';
import { isSymbolic, type Tensor } from '../../graph/tensor.js';
import { layerFamily } from '../../layers/index.js';
import { InputLayer } from '../../layers/input.js';
import { isLayer, type Layer } from '../../layers/layer.js';
import { freeName, snakeCase, snakeClass } from '../../names.js';
import { NDArray } from '../../ndarray.js';
import { Functional } from '../functional.js';
import type { Sequential } from '../sequential.js';
import { Ellipsis, Slice } from './indexing.js';
import { nativeOperation } from './native_operations.js';
import { type SavedOperation, savedOperation } from './operations.js';

/** Keras's config of a stack of layers. */
export function sequentialConfig(model: Sequential): Config {
  const first = model.inputs[0]?.origin?.node.operation.layer;
  const input = first instanceof InputLayer ? first : undefined;
  return {
    name: model.name,
    trainable: model.trainable,
    dtype: { module: 'keras', class_name: 'DTypePolicy', config: { name: model.dtype }, registered_name: null },
    layers: [...(input ? [input] : []), ...model.layers].map((layer) => layerFamily.serialize(layer)),
    ...(input && { build_input_shape: input.batchShape }),
  };
}

/** A layer, or an op that a functional model calls, with its calls in this model. */
interface Entry {
  name: string;
  layer?: Layer;
  operation?: SavedOperation;
  calls: HistoryNode[];
}

/** Keras's config of a graph of layers (https://github.com/keras-team/keras/blob/master/keras/src/models/functional.py). */
export function functionalConfig(model: Functional): Config {
  const plan = new Plan(model);
  return {
    name: model.name,
    trainable: model.trainable,
    layers: plan.entries.map((entry) => plan.describe(entry)),
    input_layers: mapStructure(model.inputStructure, (tensor) => plan.history(tensor as Tensor, true)),
    output_layers: mapStructure(model.network.outputs, (tensor) => plan.history(tensor as Tensor, true)),
  };
}

/** Names and numbers the calls of a model. */
class Plan {
  readonly entries: Entry[] = [];
  private readonly byNode = new Map<HistoryNode, Entry>();
  /** Inputs in the middle of a graph become inputs of their own. */
  private readonly starts = new Map<Tensor, Entry>();
  private readonly taken = new Map<string, true>();

  constructor(private readonly model: Functional) {
    const { network } = model;
    const inside = new Set(network.nodes);
    for (const layer of network.layers) this.taken.set(layer.name, true);
    for (const tensor of network.inputs) this.addInput(tensor);
    const known = new Map<Layer, Entry>();
    for (const node of network.nodes) {
      const { layer } = node.operation;
      if (node.inputs.length === 0) continue;
      if (!isLayer(layer)) this.addOperation(node);
      else if (!known.has(layer)) {
        // Calls are numbered in the order in which they were made.
        const entry = { name: layer.name, layer, calls: layer.nodes.filter((call) => inside.has(call)) };
        known.set(layer, entry);
        this.entries.push(entry);
        for (const call of entry.calls) this.byNode.set(call, entry);
      }
    }
  }

  describe(entry: Entry): Config {
    const { name, layer, operation, calls } = entry;
    const saved = operation ?? layerFamily.serialize(layer!);
    return { ...saved, name, inbound_nodes: calls.map((call) => this.call(call, operation !== undefined)) };
  }

  /** `[layer, call, output]`, as Keras refers to a tensor. */
  history(tensor: Tensor, outer = false): [string, number, number] {
    const start = this.starts.get(tensor);
    if (start) return [start.name, 0, 0];
    const { node, index } = tensor.origin!;
    const entry = this.byNode.get(node)!;
    // In lists of inputs and outputs, Keras counts a nested functional model's own definition as its first call.
    const shift = outer && entry.layer instanceof Functional ? 1 : 0;
    return [entry.name, entry.calls.indexOf(node) + shift, index];
  }

  private addInput(tensor: Tensor): void {
    const { node } = tensor.origin!;
    const own = node.operation.layer;
    const layer =
      own instanceof InputLayer
        ? own
        : new InputLayer({ shape: tensor.shape.slice(1), dtype: tensor.dtype, name: this.free('input_layer') });
    const entry = { name: layer.name, layer, calls: [] };
    this.starts.set(tensor, entry);
    this.entries.push(entry);
  }

  private addOperation(node: HistoryNode): void {
    const saved = savedOperation(node) ?? nativeOperation(node);
    if (!saved) {
      throw new ChainruleError(
        'ERR_CHAINRULE_UNSUPPORTED',
        `model "${this.model.name}" calls the op "${node.operation.name}" directly, which has no counterpart in Keras's files. Put it into a layer of your own (class … extends Layer) and register that with registerClass.`,
        { details: { op: node.operation.name } },
      );
    }
    const { module, class_name, config, registered_name } = saved;
    const name = this.free(snakeClass(class_name));
    const operation = { module, class_name, config: { ...config, name }, registered_name };
    const entry = { name, operation, calls: [node] };
    this.entries.push(entry);
    this.byNode.set(node, entry);
  }

  private call(node: HistoryNode, isOperation: boolean): Config {
    const serialize = (value: unknown): unknown => this.argument(value);
    if (isOperation)
      return {
        args: (nativeArguments(node) ?? (node.args as unknown[])).map((arg) => mapStructure(arg, serialize)),
        kwargs: {},
      };
    const given = Object.entries(node.options).filter(([, value]) => value !== undefined);
    return {
      args: [mapStructure(node.args, serialize)],
      kwargs: Object.fromEntries(given.map(([name, value]) => [snakeCase(name), mapStructure(value, serialize)])),
    };
  }

  private argument(value: unknown): unknown {
    if (isSymbolic(value)) {
      const config = { shape: value.shape, dtype: value.hostDtype ?? value.dtype, keras_history: this.history(value) };
      return { class_name: '__keras_tensor__', config };
    }
    if (value instanceof Slice) {
      const { start, stop, step } = value;
      return { class_name: '__slice__', config: { start: start ?? null, stop: stop ?? null, step: step ?? null } };
    }
    if (value instanceof Ellipsis) return { class_name: '__ellipsis__', config: {} };
    if (value instanceof NDArray)
      return { class_name: '__numpy__', config: { value: value.toNested(), dtype: value.dtype } };
    if (ArrayBuffer.isView(value)) {
      const dtype = value instanceof Float32Array || value instanceof Float64Array ? 'float32' : 'int32';
      return { class_name: '__numpy__', config: { value: Array.from(value as Float32Array), dtype } };
    }
    if (value === undefined || value === null) return null;
    if (['number', 'string', 'boolean'].includes(typeof value)) return value;
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `model "${this.model.name}": an argument of a call is ${(value as object).constructor?.name ?? typeof value}, which cannot be saved.`,
    );
  }

  private free(base: string): string {
    const name = freeName(base, this.taken);
    this.taken.set(name, true);
    return name;
  }
}

/** The arguments of an op in Keras's form, where they differ from the recorded ones. */
function nativeArguments(node: HistoryNode): unknown[] | undefined {
  return savedOperation(node) ? undefined : nativeOperation(node)?.args;
}
