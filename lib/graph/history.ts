import { ChainruleError } from '../errors.js';
import type { AttrValue, DType } from '../native.js';
import { flatten, mapStructure } from './structure.js';
import { isSymbolic, isTensor, Tensor } from './tensor.js';
import { type Operand, Trace } from './trace.js';

/** What was called: a layer, an op, or nothing (an input). */
export interface Operation {
  readonly name: string;
  /** Calls it again, on tensors of the active trace. */
  replay(args: unknown, options: CallOptions): unknown;
  /** The layer, where it is one. */
  readonly layer?: unknown;
  /** Attributes, where it is a native op. */
  readonly attrs?: Readonly<Record<string, AttrValue>> | undefined;
}

/** Arguments of a call beside its inputs, by name: tensors, structures of them, or plain values. */
export type CallOptions = Readonly<Record<string, unknown>>;

/** One recorded call: a functional model is a set of these, replayed whenever the model is traced. */
export interface HistoryNode {
  readonly operation: Operation;
  /** The arguments as given: symbolic tensors, and whatever else was passed along. */
  readonly args: unknown;
  readonly options: CallOptions;
  readonly inputs: readonly Tensor[];
  /** The result with its structure, and its leaves. */
  readonly result: unknown;
  readonly outputs: readonly Tensor[];
}

export interface Origin {
  readonly node: HistoryNode;
  readonly index: number;
}

/** A symbolic tensor that stands for an input of a functional model. */
export function symbolicInput(layer: { name: string }, dims: readonly number[], dtype: DType): Tensor {
  const outputs: Tensor[] = [];
  const { name } = layer;
  const operation: Operation = {
    name,
    layer,
    replay: () => {
      throw new ChainruleError('ERR_CHAINRULE_STATE', `input "${name}" is not connected to the inputs of the model.`);
    },
  };
  const node: HistoryNode = { operation, args: [], options: {}, inputs: [], result: undefined, outputs };
  outputs.push(new Tensor(undefined, -1, dims, dtype, { node, index: 0 }));
  return outputs[0]!;
}

/** Records a call on symbolic tensors. Its output shapes come from making the call once in a graph that is thrown away. */
export function record(operation: Operation, args: unknown, options: CallOptions = {}): unknown {
  const inputs = [...flatten(args), ...flatten(options)].map((leaf) => leaf.item).filter(isSymbolic);
  refuseStrings(operation, inputs);
  const scratch = new Trace();
  const live = scratch.run(() => {
    const made = new Map<Tensor, Tensor>();
    const lively = (leaf: unknown): unknown => {
      if (!isSymbolic(leaf)) return leaf;
      let tensor = made.get(leaf);
      if (tensor) return tensor;
      made.set(leaf, (tensor = scratch.input(leaf.name ?? 'input', leaf.dtype, leaf.dims)));
      tensor.lastStepOf = leaf.lastStepOf;
      return tensor;
    };
    return operation.replay(mapStructure(args, lively), mapStructure(options, lively) as CallOptions);
  });
  const outputs: Tensor[] = [];
  const node = { operation, args, options, inputs, result: undefined as unknown, outputs };
  node.result = mapStructure(live, (leaf) => {
    if (!isTensor(leaf)) return leaf;
    const symbolic = new Tensor(undefined, -1, leaf.dims, leaf.dtype, { node, index: outputs.length });
    symbolic.lastStepOf = leaf.lastStepOf;
    outputs.push(symbolic);
    return symbolic;
  });
  return node.result;
}

/** What a call in the host part of a model gives. */
export interface HostOutput {
  dims: readonly number[];
  dtype: DType;
  hostDtype?: 'string' | 'int64';
}

/** Records a call in the host part, which is not traced: its output is stated. */
export function recordHost(operation: Operation, args: unknown, { dims, dtype, hostDtype }: HostOutput): Tensor {
  const inputs = flatten(args)
    .map((leaf) => leaf.item)
    .filter(isSymbolic);
  const outputs: Tensor[] = [];
  const node = { operation, args, options: {}, inputs, result: undefined as unknown, outputs };
  const output = new Tensor(undefined, -1, dims, dtype, { node, index: 0 });
  output.hostDtype = hostDtype;
  outputs.push(output);
  node.result = output;
  return output;
}

function refuseStrings(operation: Operation, inputs: readonly Tensor[]): void {
  const strings = inputs.find((input) => input.hostDtype === 'string');
  if (!strings) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_DTYPE',
    `"${operation.name}" takes numbers, but "${strings.name}" gives strings. Strings go through TextVectorization, StringLookup or Hashing first.`,
    { details: { layer: operation.name } },
  );
}

/** Records a native op on symbolic tensors. */
export function recordOp(
  op: string,
  operands: readonly Operand[],
  replay: (operands: readonly Operand[]) => Tensor[],
  attrs: Readonly<Record<string, AttrValue>> = {},
): Tensor[] {
  const operation: Operation = { name: op, replay: (args) => replay(args as readonly Operand[]), attrs };
  return record(operation, [...operands]) as Tensor[];
}
