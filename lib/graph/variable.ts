import { inspect } from 'node:util';
import { ChainruleError, didYouMean, shown } from '../errors.js';
import { type DType, type NativeVariable, native } from '../native.js';
import { type AnyArray, type ArrayInput, allocate, computeDtype, NDArray, shapeText } from '../ndarray.js';
import { type ConvertOptions, fromNested, fromNestedAsync } from '../nested.js';
import { charge } from './budget.js';
import { seedData } from './seed.js';
import type { Shape, Tensor } from './tensor.js';
import { currentTrace, Trace } from './trace.js';

/** Makes a first value while tracing. */
export type InitialValue = number | AnyArray | ((shape: readonly number[], dtype: DType) => Tensor);

export interface VariableOptions {
  /** A number, an array, or a function that describes the value (run once, off the main thread). Default 0. */
  initialValue?: InitialValue;
  /** How it is stored. Of bfloat16 `read` gives float32, and what is assigned or written is rounded to the nearest. */
  dtype?: DType;
  /** Optimizers change it (default true, of bfloat16 false). */
  trainable?: boolean;
  /** Layers that compute on bfloat16 read it rounded to that (default true). */
  autocast?: boolean;
  /** The shape in which programs see it, of as many elements, where that is another one. @internal */
  storedShape?: readonly number[];
}

const dtypes: readonly DType[] = ['float32', 'int32', 'uint8', 'bool', 'uint32', 'int8', 'bfloat16'];

function storedDtype(variable: string, dtype: DType = 'float32'): DType {
  if (dtypes.includes(dtype)) return dtype;
  const meant = (dtype as unknown) === 'bf16' ? '; did you mean "bfloat16"?' : didYouMean(String(dtype), dtypes);
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `variable "${variable}": dtype must be one of ${dtypes.map((one) => `'${one}'`).join(', ')}, got ${shown(dtype)}${meant || '.'}`,
  );
}

/** A rule on weights that a layer attaches: its penalty joins the loss. */
export interface Penalty {
  apply(weight: Tensor): Tensor;
}

/** A value that lives between runs: a weight, a moving statistic, a counter. Its storage is native. */
export class Variable {
  readonly native: NativeVariable;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly autocast: boolean;
  trainable: boolean;
  regularizer: Penalty | undefined;
  constraint: Penalty | undefined;
  /** The name with its layers: `sequential/dense/kernel`. */
  path: string;
  private pending: InitialValue | undefined;

  constructor(
    readonly name: string,
    shape: Shape,
    options: VariableOptions = {},
  ) {
    for (const dim of shape) {
      if (!Number.isInteger(dim) || dim! < 0) {
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `variable "${name}": ${shapeText(shape)} is not a concrete shape; every dimension must be an integer >= 0.`,
        );
      }
    }
    this.shape = shape as readonly number[];
    charge(name, this.shape);
    this.dtype = storedDtype(name, options.dtype);
    this.autocast = options.autocast ?? true;
    if (options.trainable && this.dtype === 'bfloat16')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `variable "${name}": numbers of bfloat16 are too coarse to be trained; pass trainable: false, or store it as float32.`,
      );
    this.trainable = options.trainable ?? this.dtype !== 'bfloat16';
    this.path = name;
    const initial = options.initialValue ?? 0;
    const stored = options.storedShape ?? this.shape;
    this.native = new native.Variable(name, this.dtype, stored, typeof initial === 'number' ? initial : 0);
    if (initial instanceof NDArray) this.native.writeSync(this.checked(fromNested(initial, this.conversion)).data);
    else if (typeof initial === 'function') this.pending = initial;
  }

  /** The state of a random generator: (key0, key1, draw). */
  static seed(name: string, seed?: number): Variable {
    const variable = new Variable(name, [3], { dtype: 'uint32', trainable: false });
    variable.native.writeSync(seedData(seed));
    return variable;
  }

  get initialized(): boolean {
    return this.pending === undefined;
  }

  get size(): number {
    return this.shape.reduce((product, dim) => product * dim, 1);
  }

  /** While tracing: the current value in program order. Ops take the variable itself, too. */
  read(): Tensor {
    return currentTrace(`variable "${this.name}"`).read(this);
  }

  /** While tracing: replaces the value from here on; it is committed at the end of the step. */
  assign(value: Tensor): void {
    currentTrace(`variable "${this.name}".assign`).update(this, value);
  }

  /** The numbers, read between two steps. */
  async value(): Promise<NDArray> {
    await initialize([this]);
    return new NDArray(await this.native.read(), this.shape, this.dtype) as AnyArray as NDArray;
  }

  /** Replaces the numbers between two steps. */
  async write(value: ArrayInput): Promise<void> {
    const array = this.checked(await fromNestedAsync(value, this.conversion));
    this.pending = undefined;
    await this.native.write(array.data);
  }

  /** Replaces the first value before anything used it. @internal */
  setInitialValue(value: InitialValue): void {
    if (typeof value === 'number') this.native.writeSync(allocate(this.dtype, this.size).fill(value));
    this.pending = typeof value === 'number' ? undefined : value;
  }

  /** Takes the pending description: whoever takes it runs it. @internal */
  takePending(): InitialValue | undefined {
    const taken = this.pending;
    this.pending = undefined;
    return taken;
  }

  private get conversion(): ConvertOptions {
    return { name: this.path, dtype: computeDtype(this.dtype), allowNonFinite: true };
  }

  private checked(array: AnyArray): AnyArray {
    const same = array.shape.length === this.shape.length && array.shape.every((dim, i) => dim === this.shape[i]);
    if (same) return array;
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `variable "${this.path}" has shape ${shapeText(this.shape)} but got ${shapeText(array.shape)}.`,
    );
  }

  [inspect.custom](): string {
    return `Variable ${this.path} ${this.dtype} ${shapeText(this.shape)}`;
  }
}

/** Programs that are computing first values now; later users of those variables wait for them. */
const running = new WeakMap<Variable, Promise<void>>();

/** Gives all of these variables their first values, with one native program off the main thread. */
export async function initialize(variables: Iterable<Variable>): Promise<void> {
  const waits = new Set<Promise<void>>();
  const fresh: Variable[] = [];
  for (const variable of variables) {
    const wait = running.get(variable);
    if (wait) waits.add(wait);
    else if (!variable.initialized) fresh.push(variable);
  }
  if (fresh.length > 0) {
    const { trace, restore } = describe(fresh);
    const done = trace
      .compile([])
      .then((program) => program.run([]).promise)
      .then(() => {})
      .catch((error: unknown) => {
        restore();
        throw error;
      })
      .finally(() => {
        for (const variable of fresh) running.delete(variable);
      });
    for (const variable of fresh) running.set(variable, done);
    waits.add(done);
  }
  await Promise.all(waits);
}

/** As initialize, on the calling thread: for predictSync. */
export function initializeSync(variables: Iterable<Variable>): void {
  const all = [...variables];
  if (all.some((variable) => running.has(variable))) {
    throw new ChainruleError(
      'ERR_CHAINRULE_BUSY',
      'the first values of the weights are being computed; await predict or warmup first.',
    );
  }
  const fresh = all.filter((variable) => !variable.initialized);
  if (fresh.length > 0) describe(fresh).trace.compileSync([]).runSync([]);
}

function describe(variables: readonly Variable[]): { trace: Trace; restore: () => void } {
  // First values come from the CPU, the same ones whatever the device.
  const trace = new Trace('cpu');
  const taken: [Variable, InitialValue][] = [];
  const restore = () => {
    for (const [variable, initial] of taken) variable.setInitialValue(initial);
  };
  try {
    trace.run(() => {
      for (const variable of variables) {
        const initial = variable.takePending();
        if (typeof initial !== 'function') continue;
        taken.push([variable, initial]);
        trace.update(variable, initial(variable.shape, computeDtype(variable.dtype)));
      }
    });
  } catch (error) {
    restore();
    throw error;
  }
  return { trace, restore };
}
