import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import type { DType } from '../../native.js';
import type { ArrayInput } from '../../ndarray.js';
import { fromNested } from '../../nested.js';
import { Ellipsis, Slice } from './indexing.js';

/** Which tensor: layer, which of its calls, which output. */
export type Reference = readonly [name: string, call: number, output: number];

/** The arguments of one call, as they stand in a file. */
export interface Call {
  args: readonly unknown[];
  kwargs: Readonly<Record<string, unknown>>;
}

/** Stands for a tensor until it exists. */
class Placeholder {
  constructor(readonly reference: Reference) {}
}

/** Reads `inbound_nodes`, in the form of Keras 3 (args, kwargs) or of Keras 2 (lists of [layer, call, output, kwargs]). */
export function readCalls(nodes: unknown): Call[] {
  if (nodes === undefined || nodes === null) return [];
  if (!Array.isArray(nodes)) throw invalid('inbound_nodes is no list');
  return nodes.map((node: unknown) => {
    if (Array.isArray(node)) return readOldCall(node);
    const { args, kwargs } = (node ?? {}) as { args?: unknown; kwargs?: unknown };
    if (!Array.isArray(args)) throw invalid('a call has no args');
    return { args: args.map(revive), kwargs: revive(kwargs ?? {}) as Record<string, unknown> };
  });
}

/** Keras 2: the inputs side by side; the named arguments stand with each of them. */
function readOldCall(node: readonly unknown[]): Call {
  // A call on a record of inputs is not a list of them but one of its values; a single input may stand alone.
  const inputs = typeof node[0] === 'string' ? [node] : node;
  const tensors = inputs.map((input) => {
    const [name, call, output] = input as unknown[];
    return new Placeholder(reference([name, call, output]));
  });
  const last = (inputs[0] as unknown[])[3];
  const kwargs = typeof last === 'object' && last !== null ? last : {};
  return {
    args: [tensors.length === 1 ? tensors[0] : tensors],
    kwargs: Object.fromEntries(Object.entries(kwargs).map(([key, value]) => [key, reviveOld(value)])),
  };
}

function reviveOld(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const [name, call, output] = value as unknown[];
  if ((value.length === 3 || value.length === 4) && typeof name === 'string' && Number.isInteger(call))
    return new Placeholder(reference([name, call, output]));
  return value.map(reviveOld);
}

function reference(place: readonly unknown[]): Reference {
  const [name, call, output] = place;
  if (typeof name !== 'string' || !isIndex(call) || !isIndex(output))
    throw invalid(`no tensor is ${JSON.stringify(place)}`);
  return [name, call, output];
}

const isIndex = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

/** JSON as values: Keras marks tensors, arrays and slices by class names. */
function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== 'object' || value === null) return value;
  const { class_name: tag, config } = value as { class_name?: unknown; config?: Record<string, unknown> };
  if (typeof tag !== 'string' || typeof config !== 'object' || config === null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item)]));
  switch (tag) {
    case '__keras_tensor__':
      return new Placeholder(reference(Array.isArray(config.keras_history) ? config.keras_history : []));
    case '__slice__': {
      const bound = (item: unknown): number | undefined => {
        if (item === null || item === undefined) return undefined;
        if (Number.isInteger(item)) return item as number;
        throw invalid('a slice has bounds that are no integers');
      };
      return new Slice(bound(config.start), bound(config.stop), bound(config.step));
    }
    case '__ellipsis__':
      return new Ellipsis();
    case '__numpy__':
    case '__tensor__': {
      const integers = /^u?int|bool/.test(String(config.dtype));
      const dtype: DType = integers ? (config.dtype === 'bool' ? 'bool' : 'int32') : 'float32';
      return fromNested(config.value as ArrayInput, { name: 'a constant', dtype, allowNonFinite: true });
    }
  }
  throw invalid(`an argument of a call is a ${tag}`);
}

/** The tensors that a call needs. */
export function referencesOf({ args, kwargs }: Call): Reference[] {
  const found: Reference[] = [];
  const visit = (value: unknown): void => {
    if (value instanceof Placeholder) found.push(value.reference);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
      Object.values(value).forEach(visit);
  };
  args.forEach(visit);
  Object.values(kwargs).forEach(visit);
  return found;
}

/** The arguments with their tensors. */
export function resolveCall(call: Call, tensor: (place: Reference) => Tensor): Call {
  const resolve = (value: unknown): unknown => {
    if (value instanceof Placeholder) return tensor(value.reference);
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item)]));
    return value;
  };
  return { args: call.args.map(resolve), kwargs: resolve(call.kwargs) as Record<string, unknown> };
}

function invalid(what: string): ChainruleError {
  return new ChainruleError('ERR_CHAINRULE_FORMAT', `the description of the model is broken: ${what}.`);
}
