import { type Device, defaultDevice } from '../devices.js';
import { ChainruleError } from '../errors.js';
import { type AttrValue, type DType, type NativeGraph, type NativeProgram, native } from '../native.js';
import { type ArrayInput, computeDtype, isArrayInput, NDArray, shapeText } from '../ndarray.js';
import { fromNested } from '../nested.js';
import { type Keeper, noteKeeper } from './keepers.js';
import { StateBundle } from './state.js';
import { Dimension, isSymbolic, Tensor } from './tensor.js';
import type { Variable } from './variable.js';

/** A number with the dtype of the tensor it meets. */
export class Scalar {
  constructor(
    readonly value: number,
    readonly dtype: DType,
  ) {}
}

/** What an op accepts: numbers lift to scalars, arrays to constants, variables to their current value. */
export type Operand = Tensor | Variable | Dimension | Scalar | ArrayInput;

/** What a trace knows of a layer. */
export interface Caller {
  readonly name: string;
}

/** One description of a computation in the making: ops called while it is active append to its graph. */
export class Trace {
  readonly graph: NativeGraph = new native.Graph();
  /** Every variable that the graph reads or writes. */
  readonly variables = new Set<Variable>();
  /** Penalties that layers add while they are called (activity regularizers). */
  readonly losses: Tensor[] = [];
  /** Ids that layers look up in tables: data are checked before a step instead of failing in it. */
  readonly tableReads: { ids: Tensor; limit: number; layer: string }[] = [];
  /** Where metrics and stateful layers keep their state in this program. */
  state: StateBundle = StateBundle.shared;
  /** The training flag of the layer call being traced; inner layers inherit it. */
  training: boolean | undefined;
  /** The layer being traced reads its weights rounded to bfloat16. */
  rounds = false;
  /** In the second of two calls at different lengths: both of them. */
  lengths: readonly [before: number, now: number] | undefined;
  /** The layers whose calls are being traced, the outermost first. */
  readonly callers: Caller[] = [];
  /** Layers that were called inside others, with those around their first such call. */
  readonly inner = new Map<Caller, readonly Caller[]>();
  /** Whoever will keep the program. */
  keeper: Keeper | undefined;
  /** Values of bfloat16 → those values as float32; values of variables → rounded to bfloat16. */
  private readonly widened = new Map<number, number>();
  private readonly rounded = new Map<number, number>();
  private segments = 0;
  private inSegment = false;

  /** What the description is compiled for. */
  constructor(readonly device: Device = defaultDevice()) {}

  /** Makes this the active trace while `fn` runs. */
  run<T>(fn: () => T): T {
    active.push(this);
    try {
      const result = fn();
      if (result instanceof Promise) {
        result.catch(() => {});
        throw new ChainruleError(
          'ERR_CHAINRULE_STATE',
          'a traced function must not be async: it describes the computation and returns tensors; await its run instead.',
        );
      }
      return result;
    } finally {
      active.pop();
    }
  }

  input(name: string, dtype: DType, dims: readonly number[]): Tensor {
    return this.tensor(this.graph.input(name, computeDtype(dtype), dims));
  }

  tensor(id: number): Tensor {
    return new Tensor(this, id, this.graph.shape(id), this.graph.dtype(id));
  }

  op(name: string, operands: readonly Operand[], attrs?: Record<string, AttrValue>): Tensor[] {
    const ids = this.graph.op(
      name,
      operands.map((operand) => {
        const id = this.lift(operand, name);
        // Nothing is computed in bfloat16: an op takes the numbers as float32.
        const stored = operand instanceof Tensor && operand.dtype === 'bfloat16' && name !== 'cast';
        return stored ? this.widen(id) : id;
      }),
      attrs ?? {},
    );
    return ids.map((id) => this.tensor(id));
  }

  /** The id of an operand in this graph. */
  lift(operand: Operand, op: string): number {
    if (operand instanceof Tensor) {
      if (operand.trace === this) return operand.id;
      throw isSymbolic(operand) ? symbolicInside(op, operand) : foreign(op, operand);
    }
    if (operand instanceof Scalar) return this.graph.scalar(operand.value, operand.dtype);
    if (typeof operand === 'number') return this.graph.scalar(operand, 'float32');
    if (typeof operand === 'boolean') return this.graph.scalar(operand ? 1 : 0, 'bool');
    if (operand instanceof Dimension) return this.graph.op('batchSize', [], { scale: operand.factor })[0]!;
    if (isArrayInput(operand)) {
      const array = operand instanceof NDArray ? operand : fromNested(operand, { name: op, allowNonFinite: true });
      return this.graph.constant(array.data, computeDtype(array.dtype), array.shape);
    }
    if (isReadable(operand)) return this.read(operand).id;
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `${op}: ${describe(operand)} is not a tensor, variable, number or array.`,
    );
  }

  /** The variable's current value in program order, as what is computed with. */
  read(variable: Variable): Tensor {
    this.note(variable);
    const stored = this.graph.read(variable.native);
    // The same tensor every time: gradients towards the variable are those towards it.
    if (variable.dtype === 'bfloat16') return this.tensor(this.widen(stored));
    if (!this.rounds || variable.dtype !== 'float32' || !variable.autocast) return this.tensor(stored);
    const known = this.rounded.get(stored) ?? this.convert(stored, 'bfloat16');
    this.rounded.set(stored, known);
    return this.tensor(this.widen(known));
  }

  /** A value of bfloat16 as float32. */
  private widen(id: number): number {
    const known = this.widened.get(id) ?? this.convert(id, 'float32');
    this.widened.set(id, known);
    return known;
  }

  update(variable: Variable, value: Tensor): void {
    this.note(variable);
    const id = this.lift(value, 'assign');
    const [from, to] = [this.graph.dtype(id), variable.dtype];
    if (from === 'bfloat16' && to === 'float32') this.graph.update(variable.native, this.widen(id));
    else if (from === 'float32' && to === 'bfloat16') this.graph.update(variable.native, this.convert(id, to));
    else this.graph.update(variable.native, id);
  }

  private convert(id: number, dtype: DType): number {
    return this.graph.op('cast', [id], { dtype })[0]!;
  }

  /** The id of a value, of one of bfloat16 as float32: for results (JavaScript has no such arrays) and gradients. */
  liftWide(value: Tensor, op: string): number {
    const id = this.lift(value, op);
    return value.dtype === 'bfloat16' ? this.widen(id) : id;
  }

  private note(variable: Variable): void {
    this.variables.add(variable);
    if (this.keeper) noteKeeper(variable, this.keeper);
  }

  /** The call of a layer: its name stands before the ops that follow, in messages and print-outs. */
  scope<T>(layer: Caller, fn: () => T): T {
    if (this.insideLayer && !this.inner.has(layer)) this.inner.set(layer, [...this.callers]);
    const name = (): void => this.graph.setScope(this.callers.map((caller) => caller.name).join('/'));
    this.callers.push(layer);
    name();
    try {
      return fn();
    } finally {
      this.callers.pop();
      name();
    }
  }

  /** Whether a layer is being called. */
  get insideLayer(): boolean {
    return this.callers.length > 0;
  }

  /**
   * Gradients of what `fn` describes compute its values again instead of keeping them; unless `wanted` says of its
   * result that they don't. Inside another segment it is a part of that one.
   */
  segment<T>(fn: () => T, wanted?: (result: T) => boolean): T {
    if (this.inSegment) return fn();
    const id = ++this.segments;
    this.inSegment = true;
    this.graph.setSegment(id);
    try {
      const result = fn();
      if (wanted?.(result) === false) this.graph.dissolveSegment(id);
      return result;
    } finally {
      this.inSegment = false;
      this.graph.setSegment(0);
    }
  }

  /** Finishes the graph and compiles it off the main thread. */
  compile(outputs: readonly Tensor[]): Promise<NativeProgram> {
    return this.graph.compile(
      outputs.map((output) => this.liftWide(output, 'output')),
      this.device,
    );
  }

  compileSync(outputs: readonly Tensor[]): NativeProgram {
    return this.graph.compileSync(
      outputs.map((output) => this.liftWide(output, 'output')),
      this.device,
    );
  }
}

const active: Trace[] = [];

export function activeTrace(): Trace | undefined {
  return active.at(-1);
}

/** The active trace, or an error that says where `what` may be called. */
export function currentTrace(what: string): Trace {
  const trace = active.at(-1);
  if (trace) return trace;
  throw new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `${what}: nothing is being traced here. Use it in a layer's call, in trace(fn) or compute(() => …), or on tensors of input().`,
    { above: currentTrace },
  );
}

function isReadable(value: unknown): value is Variable {
  return typeof value === 'object' && value !== null && 'native' in value;
}

function describe(value: unknown): string {
  return value === undefined || value === null
    ? String(value)
    : typeof value === 'object'
      ? (value.constructor?.name ?? 'an object')
      : `${typeof value} ${String(value)}`;
}

function foreign(op: string, tensor: Tensor): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `${op}: the operand ${shapeText(tensor.shape)} belongs to another trace. A tensor is valid only inside the call that made it; keep values between steps in a Variable.`,
  );
}

function symbolicInside(op: string, tensor: Tensor): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `${op}: the operand "${tensor.name ?? ''}" ${shapeText(tensor.shape)} is a symbolic tensor of a functional model and has no value in this trace; pass it through the model: model.apply(x).`,
  );
}
