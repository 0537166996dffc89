import { ChainruleError } from '../errors.js';
import type { AttrValue, DType } from '../native.js';
import { atLength, atTwoLengths, common, hasOpenAxis, isOpen } from './open_axes.js';
import { flatten, mapStructure } from './structure.js';
import { isSymbolic, isTensor, Tensor } from './tensor.js';
import { type Operand, Scalar, Trace } from './trace.js';

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

/**
 * Records a call on symbolic tensors. Its output shapes come from making the call once in a graph that is thrown away; or
 * twice, where axes of unknown length are among them.
 */
export function record(operation: Operation, args: unknown, options: CallOptions = {}): unknown {
  const inputs = [...flatten(args), ...flatten(options)].map((leaf) => leaf.item).filter(isSymbolic);
  refuseStrings(operation, inputs);
  const call = (length = 0, before?: number): unknown => callOnce(operation, args, options, length, before);
  const [live, longer] = inputs.some((input) => hasOpenAxis(input.dims))
    ? atTwoLengths(`"${operation.name}"`, call)
    : [call()];
  const others = longer === undefined ? undefined : tensorsOf(longer);
  const outputs: Tensor[] = [];
  const node = { operation, args, options, inputs, result: undefined as unknown, outputs };
  node.result = mapStructure(live, (leaf) => {
    if (!isTensor(leaf)) return leaf;
    const dims = others ? common(leaf.dims, others[outputs.length]!.dims) : leaf.dims;
    const symbolic = new Tensor(undefined, -1, dims, leaf.dtype, { node, index: outputs.length });
    symbolic.lastStepOf = leaf.lastStepOf;
    outputs.push(symbolic);
    return symbolic;
  });
  return node.result;
}

/** Makes a call in a graph that is thrown away, with a length for the axes of unknown length. */
function callOnce(operation: Operation, args: unknown, options: CallOptions, length: number, before?: number): unknown {
  const scratch = new Trace();
  if (before !== undefined) scratch.lengths = [before, length];
  return scratch.run(() => {
    const made = new Map<Tensor, Tensor>();
    const lively = (leaf: unknown): unknown => {
      if (!isSymbolic(leaf)) return leaf;
      let tensor = made.get(leaf);
      if (tensor) return tensor;
      made.set(leaf, (tensor = scratch.input(leaf.name ?? 'input', leaf.dtype, atLength(leaf.dims, length))));
      if (hasOpenAxis(leaf.dims)) tensor.standsFor = leaf.dims;
      tensor.lastStepOf = leaf.lastStepOf;
      return tensor;
    };
    return operation.replay(mapStructure(args, lively), mapStructure(options, lively) as CallOptions);
  });
}

const tensorsOf = (structure: unknown): Tensor[] =>
  flatten(structure)
    .map((leaf) => leaf.item)
    .filter(isTensor);

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
  if (operands.some((operand) => isSymbolic(operand) && hasOpenAxis(operand.dims))) refuseBaked(op, operands, attrs);
  const operation: Operation = { name: op, replay: (args) => replay(args as readonly Operand[]), attrs };
  return record(operation, [...operands]) as Tensor[];
}

/** An op that was prepared for a length would go wrong for others; layers are called anew for every length. */
function refuseBaked(op: string, operands: readonly Operand[], attrs: Readonly<Record<string, AttrValue>>): void {
  const numbers = [
    ...operands.map((operand) => (operand instanceof Scalar ? operand.value : operand)),
    ...Object.values(attrs),
  ];
  if (!numbers.flat().some((value) => typeof value === 'number' && isOpen(value))) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `${op}: it depends on an axis of unknown length (null in an input's shape). Put the ops into the call of a layer (layers.lambda, or a class that extends Layer), which is described anew for every length.`,
    { details: { op } },
  );
}
