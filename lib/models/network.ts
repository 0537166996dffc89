import { ChainruleError } from '../errors.js';
import type { CallOptions, HistoryNode } from '../graph/history.js';
import { flatten, mapStructure } from '../graph/structure.js';
import { isSymbolic, type Tensor } from '../graph/tensor.js';
import { InputLayer } from '../layers/input.js';
import { isLayer, type Layer, type TensorStructure } from '../layers/layer.js';
import { widened } from '../layers/precision.js';
import { HostFront, isHostNode } from './front.js';

/** The recorded calls between symbolic inputs and outputs, in an order in which they can be replayed. */
export class Network {
  readonly nodes: readonly HistoryNode[];
  /** Layers in Keras's order: by depth, then as they are met from the outputs. */
  readonly layers: readonly Layer[];
  /** The part that works on strings before the traced one, where there is one. */
  readonly front: HostFront | undefined;

  constructor(
    readonly inputs: readonly Tensor[],
    readonly outputs: unknown,
  ) {
    const sorted = sortNodes(
      inputs,
      byKey(outputs).map((leaf) => leaf.item as Tensor),
    );
    this.nodes = sorted.nodes;
    this.layers = sorted.layers;
    this.front = HostFront.of(inputs, this.nodes, outputs);
  }

  /** What the traced part is fed with: the inputs, or what the host part makes of them. */
  get starts(): readonly Tensor[] {
    return this.front?.boundary ?? this.inputs;
  }

  /** Tensors that are fed, as the inputs declare them. */
  take(fed: readonly Tensor[], model: string): Tensor[] {
    return fed.map((tensor, i) => {
      const layer = this.starts[i]?.origin?.node.operation.layer;
      return layer instanceof InputLayer ? layer.take(tensor, model) : tensor;
    });
  }

  /** Makes all traced calls again, on live tensors for the starts; returns live tensors for any recorded tensors asked for. */
  replay(live: readonly Tensor[], wanted: unknown = this.outputs): TensorStructure {
    const values = new Map<Tensor, Tensor>(this.starts.map((start, i) => [start, live[i]!]));
    const now = (leaf: unknown): unknown => (isSymbolic(leaf) ? values.get(leaf) : leaf);
    // Layers cast what they compute with; ids keep their digits on the way to them. Ops and outputs take what was declared.
    const declared = (leaf: unknown): unknown => (isSymbolic(leaf) ? asDeclared(leaf, values.get(leaf)) : leaf);
    for (const node of this.nodes) {
      if (isHostNode(node) || node.outputs.every((output) => values.has(output))) continue;
      const fed = node.operation.layer ? now : declared;
      const result = node.operation.replay(
        mapStructure(node.args, fed),
        mapStructure(node.options, fed) as CallOptions,
      );
      for (const [i, leaf] of flatten(result).entries()) values.set(node.outputs[i]!, leaf.item as Tensor);
    }
    return mapStructure(wanted, declared) as TensorStructure;
  }
}

/** Integers where floats were declared become floats; numbers of bfloat16 are left to those who take them. */
export function asDeclared(symbolic: Tensor, live: Tensor | undefined): Tensor | undefined {
  const widens = live && symbolic.dtype === 'float32' && live.dtype !== 'float32' && live.dtype !== 'bfloat16';
  return widens ? widened(live) : live;
}

/** Leaves with records in the order of their keys, in which Keras visits them: the order of layers and weights depends on it. */
function byKey(structure: unknown): { item: unknown; path: string }[] {
  const leaves = flatten(structure);
  return Array.isArray(structure) ? leaves : leaves.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function sortNodes(inputs: readonly Tensor[], outputs: readonly Tensor[]): { nodes: HistoryNode[]; layers: Layer[] } {
  const starts = new Set(inputs);
  const done: HistoryNode[] = [];
  const layerOrder = new Map<Layer, number>();
  const met = new Set<HistoryNode>();
  const visit = (tensor: Tensor): void => {
    if (!isSymbolic(tensor))
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        'functional: outputs must be symbolic tensors, made by calling layers on input().',
      );
    const { node } = tensor.origin;
    if (met.has(node)) return;
    met.add(node);
    const { layer } = node.operation;
    if (isLayer(layer) && !layerOrder.has(layer)) layerOrder.set(layer, layerOrder.size);
    if (starts.has(tensor)) return;
    if (node.inputs.length === 0) {
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `functional: an output depends on the input "${node.operation.name}", which is not among the model's inputs; add it to inputs.`,
      );
    }
    for (const input of node.inputs) visit(input);
    done.push(node);
  };
  for (const output of outputs) visit(output);
  for (const input of inputs) {
    const { layer } = input.origin!.node.operation;
    if (isLayer(layer) && !layerOrder.has(layer)) layerOrder.set(layer, layerOrder.size);
  }
  return { nodes: done, layers: byDepth(done, inputs, layerOrder) };
}

/** A layer is as deep as the longest way from its calls to an output; inputs are deepest. */
function byDepth(nodes: readonly HistoryNode[], inputs: readonly Tensor[], order: Map<Layer, number>): Layer[] {
  const depths = new Map<HistoryNode, number>();
  const layerDepths = new Map<Layer, number>();
  for (const node of [...nodes].reverse()) {
    const { layer } = node.operation;
    let depth = depths.get(node) ?? 0;
    if (isLayer(layer)) {
      depth = Math.max(depth, layerDepths.get(layer) ?? 0);
      layerDepths.set(layer, depth);
    }
    depths.set(node, depth);
    for (const input of node.inputs) {
      const before = input.origin!.node;
      depths.set(before, Math.max(depths.get(before) ?? 0, depth + 1));
    }
  }
  for (const input of inputs) {
    const { node } = input.origin!;
    const { layer } = node.operation;
    if (isLayer(layer) && !nodes.includes(node))
      layerDepths.set(layer, Math.max(layerDepths.get(layer) ?? 0, depths.get(node) ?? 0));
  }
  return [...order.keys()].sort(
    (a, b) => (layerDepths.get(b) ?? 0) - (layerDepths.get(a) ?? 0) || order.get(a)! - order.get(b)!,
  );
}
