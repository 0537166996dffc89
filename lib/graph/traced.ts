import { ChainruleError } from '../errors.js';
import { type ArrayInput, isArrayInput, NDArray, shapeText } from '../ndarray.js';
import { fromNestedAsync } from '../nested.js';
import { Executable } from './executable.js';
import { flatten, type MapStructure, mapStructure, pack, type Structure } from './structure.js';
import { isTensor, Tensor } from './tensor.js';
import { Trace } from './trace.js';

/** The same structure with tensors where arrays were. */
export type TensorsOf<I> = MapStructure<I, ArrayInput, Tensor>;
/** The same structure with arrays where tensors were. */
export type ArraysOf<O> = MapStructure<O, Tensor, NDArray>;

export interface RunOptions {
  signal?: AbortSignal;
  /** Global index of the first row, for random ops. Default 0. */
  rowOffset?: number;
}

export interface TracedFunction<I, O> {
  /** Runs the computation on the executor thread. The function is traced once per names, dtypes and dimensions beside the batch. */
  run(inputs: I, options?: RunOptions): Promise<ArraysOf<O>>;
}

interface Traced {
  executable: Executable;
  result: unknown;
}

/**
 * A computation described by a function of tensors. Axis 0 of the inputs is the batch: it may change from run to run;
 * inputs whose first axis differs from the first input's are taken as they are.
 */
export function trace<I extends Structure<ArrayInput>, O>(fn: (inputs: TensorsOf<I>) => O): TracedFunction<I, O> {
  const known = new Map<string, Promise<Traced>>();
  return {
    async run(inputs, options = {}) {
      options.signal?.throwIfAborted();
      const leaves = flatten(inputs, isArrayInput);
      const arrays = await Promise.all(leaves.map(({ item, path }) => toArray(item, path || 'input')));
      const batch = arrays.find((array) => array.rank > 0)?.shape[0];
      const dims = arrays.map(({ shape }) => (shape.length > 0 && shape[0] === batch ? [-1, ...shape.slice(1)] : [...shape]));
      const key = JSON.stringify(leaves.map(({ path }, i) => [path, arrays[i]!.dtype, dims[i]]));
      let traced = known.get(key);
      if (!traced) {
        traced = build(() => {
          const current = new Trace();
          const tensors = leaves.map(({ path }, i) => current.input(path || 'input', arrays[i]!.dtype, dims[i]!));
          return { current, call: () => fn(pack(inputs, tensors, isArrayInput) as TensorsOf<I>) };
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
export async function compute<O>(fn: () => O, options: RunOptions = {}): Promise<ArraysOf<O>> {
  options.signal?.throwIfAborted();
  const { executable, result } = await build(() => ({ current: new Trace(), call: fn }));
  return replace(result, await executable.run([], options)) as ArraysOf<O>;
}

async function build(start: () => { current: Trace; call: () => unknown }): Promise<Traced> {
  const { current, call } = start();
  const result = current.run(call);
  const outputs = flatten(result).map((leaf) => leaf.item);
  for (const output of outputs) {
    if (isTensor(output) || typeof output !== 'object' || output === null) continue;
    throw new ChainruleError('ERR_CHAINRULE_VALUE', `a traced function must return tensors, in lists and records; got ${output.constructor?.name ?? 'an object'}.`);
  }
  return { executable: await Executable.compile(current, outputs.filter(isTensor)), result };
}

function replace(result: unknown, arrays: readonly NDArray[]): unknown {
  let next = 0;
  return mapStructure(result, (leaf) => (leaf instanceof Tensor ? arrays[next++] : leaf));
}

async function toArray(item: unknown, name: string): Promise<NDArray> {
  if (!isArrayInput(item)) throw new ChainruleError('ERR_CHAINRULE_INPUT', `${name}: an array is expected, got ${item === null ? 'null' : typeof item}.`);
  const array = await fromNestedAsync(item, { name, allowNonFinite: true });
  if (array.rank > 8) throw new ChainruleError('ERR_CHAINRULE_SHAPE', `${name}: ${shapeText(array.shape)} has more than 8 dimensions.`);
  return array;
}
