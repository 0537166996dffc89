import { checkDevice, type Device, defaultDevice } from '../devices.js';
import { ChainruleError } from '../errors.js';
import { type AnyArray, type ArrayInput, isArrayInput, type NDArray, shapeText } from '../ndarray.js';
import { fromNestedAsync } from '../nested.js';
import { anything, checkRules, integer, listOf, type Rule, signal, text } from '../rules.js';
import { Executable } from './executable.js';
import { checkFunction } from './remat.js';
import { flatten, type MapStructure, mapStructure, pack, type Structure } from './structure.js';
import { isTensor, Tensor } from './tensor.js';
import { Trace } from './trace.js';

/** What a traced function of these tensors is fed with: arrays in the same structure. */
export type FeedOf<T> = MapStructure<T, Tensor, ArrayInput>;
/** The same structure with arrays where tensors were. */
export type ArraysOf<O> = MapStructure<O, Tensor, NDArray>;

export interface RunOptions {
  signal?: AbortSignal;
  /** Global index of the first row, for random ops. Default 0. */
  rowOffset?: number;
}

export interface TraceOptions {
  /**
   * Names of the inputs whose axis 0 is the batch; false: none. By default those whose first axis is as long as that of
   * the first input.
   */
  batch?: readonly string[] | false;
  /** Where it runs. Default 'auto'. */
  device?: Device;
}

export interface TracedFunction<T, O> {
  /** Runs the computation on the executor thread. The function is traced once per names, dtypes and dimensions beside the batch. */
  run(inputs: FeedOf<T>, options?: RunOptions): Promise<ArraysOf<O>>;
}

const runRules = { signal, rowOffset: integer(0) };
const inputNames: Rule = {
  expected: 'a list of names of inputs, or false',
  allows: (value) => value === false || listOf(text).allows(value),
};

interface Traced {
  executable: Executable;
  result: unknown;
}

/**
 * A computation described by a function of tensors. Axis 0 of the inputs is the batch: it may change from run to run;
 * inputs whose first axis differs from the first input's are taken as they are; see TraceOptions.
 */
export function trace<T extends Structure<Tensor> = Record<string, Tensor>, O = unknown>(
  fn: (inputs: T) => O,
  options: TraceOptions = {},
): TracedFunction<T, O> {
  checkFunction('trace', fn);
  checkRules('trace', options, { batch: inputNames, device: anything });
  const { batch, device = defaultDevice() } = options;
  const known = new Map<string, Promise<Traced>>();
  const keeper = { forget: () => known.clear() };
  return {
    async run(inputs: unknown, options: RunOptions = {}) {
      checkRules('run', options, runRules);
      options.signal?.throwIfAborted();
      const leaves = flatten(inputs, isArrayInput);
      const arrays = await Promise.all(leaves.map(({ item, path }) => toArray(item, path || 'input')));
      const rows = arrays.find((array) => array.rank > 0)?.shape[0];
      const batched = (array: AnyArray, name: string): boolean =>
        batch ? batch.includes(name) : batch !== false && array.shape[0] === rows;
      const dims = arrays.map((array, i) =>
        array.rank > 0 && batched(array, leaves[i]!.path) ? [-1, ...array.shape.slice(1)] : [...array.shape],
      );
      const key = JSON.stringify(leaves.map(({ path }, i) => [path, arrays[i]!.dtype, dims[i]]));
      let traced = known.get(key);
      if (!traced) {
        traced = build(() => {
          const current = new Trace(checkDevice(device, 'trace'));
          current.keeper = keeper;
          const tensors = leaves.map(({ path }, i) => current.input(path || 'input', arrays[i]!.dtype, dims[i]!));
          return { current, call: () => fn(pack(inputs, tensors, isArrayInput) as T) };
        });
        known.set(key, traced);
        // A description that failed may succeed later (a layer was built meanwhile): don't remember the failure.
        traced.catch(() => known.delete(key));
      }
      const { executable, result } = await traced;
      return replace(result, await executable.run(arrays, options)) as ArraysOf<O>;
    },
  };
}

/** Describes a computation, runs it once off the main thread and gives its numbers: `await compute(() => ops.exp([1, 2]))`. */
export async function compute<O>(
  fn: () => O,
  given: RunOptions & Pick<TraceOptions, 'device'> = {},
): Promise<ArraysOf<O>> {
  checkFunction('compute', fn);
  checkRules('compute', given, { ...runRules, device: anything });
  const { device = defaultDevice(), ...options } = given;
  options.signal?.throwIfAborted();
  const { executable, result } = await build(() => ({
    current: new Trace(checkDevice(device, 'compute')),
    call: fn,
  }));
  return replace(result, await executable.run([], options)) as ArraysOf<O>;
}

async function build(start: () => { current: Trace; call: () => unknown }): Promise<Traced> {
  const { current, call } = start();
  const result = current.run(call);
  const outputs = flatten(result).map((leaf) => leaf.item);
  for (const output of outputs) {
    if (isTensor(output) || typeof output !== 'object' || output === null) continue;
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `a traced function must return tensors, in lists and records; got ${output.constructor?.name ?? 'an object'}.`,
    );
  }
  return { executable: await Executable.compile(current, outputs.filter(isTensor)), result };
}

function replace(result: unknown, arrays: readonly NDArray[]): unknown {
  let next = 0;
  return mapStructure(result, (leaf) => (leaf instanceof Tensor ? arrays[next++] : leaf));
}

async function toArray(item: unknown, name: string): Promise<AnyArray> {
  if (!isArrayInput(item))
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${name}: an array is expected, got ${item === null ? 'null' : typeof item}.`,
    );
  const array = await fromNestedAsync(item, { name, allowNonFinite: true });
  if (array.rank > 8)
    throw new ChainruleError('ERR_CHAINRULE_SHAPE', `${name}: ${shapeText(array.shape)} has more than 8 dimensions.`);
  return array;
}
