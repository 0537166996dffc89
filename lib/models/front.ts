import { ChainruleError } from '../errors.js';
import type { HistoryNode } from '../graph/history.js';
import { flatten } from '../graph/structure.js';
import type { Tensor } from '../graph/tensor.js';
import { HostLayer } from '../layers/text/host_layer.js';
import { fitted, type HostValue, hostValue, stringsIn } from '../layers/text/values.js';
import { inBackground, perform, type Work } from '../layers/text/work.js';
import { type AnyArray, isArrayInput } from '../ndarray.js';
import { fromNested, fromNestedAsync } from '../nested.js';
import { StringArray } from '../strings.js';

/**
 * The host part of a model: layers on strings and raw integers that stand before everything traced. What they give, and
 * inputs that the traced part takes itself, are the columns that the traced part is fed with.
 */
export class HostFront {
  /** What the traced part takes. */
  readonly boundary: readonly Tensor[];
  private readonly nodes: readonly HistoryNode[];

  private constructor(
    private readonly inputs: readonly Tensor[],
    nodes: readonly HistoryNode[],
    outputs: readonly Tensor[],
  ) {
    this.nodes = nodes.filter(isHostNode);
    const known = new Set<Tensor>([...inputs, ...this.nodes.flatMap((node) => node.outputs)]);
    const traced = new Set(nodes.filter((node) => !isHostNode(node)).flatMap((node) => node.inputs));
    const taken = new Set([...traced, ...outputs]);
    this.boundary = [...known].filter((tensor) => taken.has(tensor));
    for (const tensor of this.boundary) {
      if (tensor.hostDtype === 'string')
        throw refused(
          `"${tensor.name}" gives strings, which a model cannot return. Use the layer by itself: await layer.compute(data).`,
        );
    }
  }

  /** The host part of recorded calls, where there is one. */
  static of(inputs: readonly Tensor[], nodes: readonly HistoryNode[], outputs: unknown): HostFront | undefined {
    if (!nodes.some(isHostNode)) return undefined;
    return new HostFront(
      inputs,
      nodes,
      flatten(outputs).map((leaf) => leaf.item as Tensor),
    );
  }

  /** The columns of the traced part, computed in the background. */
  columns(data: readonly unknown[], { allowNonFinite }: { allowNonFinite?: boolean | undefined }): Promise<AnyArray[]> {
    return inBackground(this.work(data, allowNonFinite));
  }

  /** The columns of the traced part, from what a caller passes for the inputs, in their order. */
  *work(data: readonly unknown[], allowNonFinite: boolean | undefined): Work<AnyArray[]> {
    const arrays = new Map<Tensor, AnyArray>();
    const hosted = new Map<Tensor, HostValue>();
    const consumed = new Set(this.nodes.flatMap((node) => node.inputs));
    for (const [i, input] of this.inputs.entries()) {
      const name = this.inputs.length === 1 ? 'x' : `x.${input.name}`;
      // An input may feed both parts: the traced one takes it as always.
      if (this.boundary.includes(input)) arrays.set(input, yield* arrayOf(data[i], name, input.rank, allowNonFinite));
      if (!consumed.has(input)) continue;
      const given = yield* hostValue(data[i], name);
      const value = input.hostDtype === 'string' ? (stringsIn(given) ?? given) : given;
      const [wanted, got] = [input.hostDtype === 'string', value instanceof StringArray];
      if (wanted !== got)
        throw new ChainruleError(
          'ERR_CHAINRULE_INPUT',
          `${name}: input "${input.name}" takes ${kind(wanted)}, but the data are ${kind(got)}.`,
        );
      hosted.set(input, fitted(value, input.dims, `${name}: input "${input.name}"`));
    }
    for (const node of this.nodes) {
      const layer = node.operation.layer as HostLayer;
      const result = yield* layer.work(node.inputs.map((input) => hosted.get(input)!));
      const output = node.outputs[0]!;
      if (result instanceof StringArray) hosted.set(output, result);
      else {
        arrays.set(output, result);
        if (consumed.has(output)) hosted.set(output, yield* hostValue(result, layer.name));
      }
    }
    return this.boundary.map((tensor) => arrays.get(tensor)!);
  }
}

/** Whether a call belongs to the host part. */
export const isHostNode = (node: HistoryNode): boolean => node.operation.layer instanceof HostLayer;

const kind = (strings: boolean): string => (strings ? 'strings' : 'numbers');

/** Numbers for an input of a rank: an axis of size 1 at the end is added, as Keras does. */
function* arrayOf(value: unknown, name: string, rank: number, allowNonFinite: boolean | undefined): Work<AnyArray> {
  if (!isArrayInput(value))
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${name}: an array is expected, got ${value === null ? 'null' : typeof value}.`,
    );
  const options = { name, allowNonFinite };
  const array = yield* perform({
    background: () => fromNestedAsync(value, options),
    now: () => fromNested(value, options),
  });
  return array.rank === rank - 1 ? array.reshape([...array.shape, 1]) : array;
}

const refused = (text: string): ChainruleError =>
  new ChainruleError('ERR_CHAINRULE_UNSUPPORTED', `functional: ${text}`);
