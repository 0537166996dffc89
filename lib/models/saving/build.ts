import type { Config, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { flatten, type Structure } from '../../graph/structure.js';
import type { Tensor } from '../../graph/tensor.js';
import { layerFamily } from '../../layers/index.js';
import { InputLayer } from '../../layers/input.js';
import type { Layer } from '../../layers/layer.js';
import { camelCase } from '../../names.js';
import { sharedObjects } from '../../registered.js';
import { Functional } from '../functional.js';
import { Sequential } from '../sequential.js';
import { type Call, type Reference, readCalls, referencesOf, resolveCall } from './calls.js';
import { callOperation, findOperation, type SavedOperation } from './operations.js';

/** Work that may be interrupted after each layer, so that the event loop can turn. */
export type Building<T> = Generator<undefined, T>;

/** Does such work at once. */
export function finish<T>(work: Building<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** A layer or model from what a file says; models are built layer by layer. */
export function* buildLayer(saved: Serialized): Building<Layer> {
  const id = saved.shared_object_id;
  const cls: unknown = layerFamily.classOf(saved.class_name, saved);
  if (cls !== Sequential && cls !== Functional) return layerFamily.resolve(saved);
  const known = id === undefined ? undefined : sharedObjects()?.get(id);
  if (known instanceof Sequential || known instanceof Functional) return known;
  const model = cls === Sequential ? yield* buildSequential(saved.config) : yield* buildFunctional(saved.config);
  if (id !== undefined) sharedObjects()?.set(id, model);
  return model as Layer;
}

export function* buildSequential(config: Config): Building<Sequential> {
  const { layers, build_input_shape: shape } = config;
  const made: Layer[] = [];
  for (const saved of list(layers, 'a sequential model', 'layers')) {
    made.push(yield* buildLayer(saved as Serialized));
    yield;
  }
  const model = new Sequential([], common(config));
  for (const layer of made) model.append(layer);
  const [first] = made;
  if (first instanceof InputLayer) yield* model.buildSteps(first.batchShape);
  else if (Array.isArray(shape)) yield* model.buildSteps(shape as number[]);
  else if (made.length > 0) model.buildEarly();
  return model;
}

interface Made {
  layer?: Layer;
  operation?: SavedOperation;
  calls: Call[];
  /** Results of the calls made so far. */
  results: Tensor[][];
}

/** Makes the recorded calls again, each as soon as its inputs exist (functional_from_config in Keras). */
export function* buildFunctional(config: Config): Building<Functional> {
  const { layers, input_layers: inputs, output_layers: outputs } = config;
  const made = new Map<string, Made>();
  for (const item of list(layers, 'a functional model', 'layers')) {
    const saved = item as Serialized & { name?: string; inbound_nodes?: unknown };
    const name = saved.name ?? (saved.config as { name?: string }).name;
    if (typeof name !== 'string' || made.has(name))
      throw invalid(name === undefined ? 'a layer has no name' : `two layers are named "${name}"`);
    made.set(name, yield* make(saved));
    yield;
  }
  yield* callAll(made);
  const find = (place: Reference): Tensor => {
    const [name, call, output] = place;
    const entry = made.get(name);
    // Keras counts a nested functional model's own definition as its first call.
    const at = entry?.layer instanceof Functional ? call - 1 : call;
    const tensor = entry?.results[at]?.[output];
    if (!tensor) throw invalid(`"${name}" has no output ${output} of call ${call}`);
    return tensor;
  };
  return new Functional(single(structure(inputs, find)), single(structure(outputs, find)), common(config));
}

function* make(saved: Serialized & { inbound_nodes?: unknown }): Building<Made> {
  const calls = readCalls(saved.inbound_nodes);
  if (findOperation(saved.module, saved.class_name)) return { operation: saved as SavedOperation, calls, results: [] };
  const layer = yield* buildLayer(saved);
  return { layer, calls, results: layer instanceof InputLayer ? [[layer.tensor]] : [] };
}

function* callAll(made: ReadonlyMap<string, Made>): Building<void> {
  const waiting = new Map<string, string[]>();
  const ready = [...made.keys()].reverse();
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    const entry = made.get(name)!;
    const before = entry.results.length;
    while (entry.results.length < entry.calls.length + (entry.layer instanceof InputLayer ? 1 : 0)) {
      const call = entry.calls[entry.results.length]!;
      const missing = referencesOf(call).find(([from, index]) => {
        if (!made.has(from)) throw invalid(`"${name}" is called on "${from}", which the model does not have`);
        return made.get(from)!.results.length <= index;
      });
      if (missing) {
        waiting.set(missing[0], [...(waiting.get(missing[0]) ?? []), name]);
        break;
      }
      entry.results.push(perform(name, entry, call, made));
      yield;
    }
    // Who waits for this one looks again only where it got further: a circle would go round for ever.
    if (entry.results.length === before && entry.calls.length > 0) continue;
    ready.push(...(waiting.get(name) ?? []));
    waiting.delete(name);
  }
  const stuck = [...made].filter(([, { calls, results }]) => results.length < calls.length).map(([name]) => name);
  if (stuck.length > 0)
    throw invalid(
      `the calls of ${stuck
        .slice(0, 5)
        .map((name) => `"${name}"`)
        .join(', ')} form a circle`,
    );
}

function perform(name: string, { layer, operation }: Made, call: Call, made: ReadonlyMap<string, Made>): Tensor[] {
  const { args, kwargs } = resolveCall(call, ([from, index, output]) => {
    const tensor = made.get(from)!.results[index]?.[output];
    if (!tensor) throw invalid(`"${name}" asks for output ${output} of "${from}", which has none`);
    return tensor;
  });
  let result: unknown;
  if (operation) result = callOperation(operation, [...args, ...Object.values(kwargs)]);
  else {
    const [inputs, options] = layerArguments(layer!, args, kwargs);
    result = layer!.apply(inputs, options);
  }
  return flatten(result).map((leaf) => leaf.item as Tensor);
}

/** The inputs and the options of `apply`, from Keras's positional and named arguments. */
function layerArguments(
  layer: Layer,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
): [Structure<Tensor>, Record<string, unknown>] {
  const names = layer.callArguments;
  const given = Object.entries(kwargs).map(([key, value]) => [camelCase(key), value] as const);
  const known = new Set(['training', 'mask', ...names]);
  // The first argument may come by name, and its name differs from layer to layer.
  const first = args.length > 0 ? undefined : given.find(([key]) => !known.has(key));
  const options: Record<string, unknown> = {};
  // Keras replaces a recorded training flag by that of the model's call.
  for (const [key, value] of given)
    if (key !== first?.[0] && key !== 'training' && value !== null) options[key] = value;
  args.slice(1).forEach((value, i) => {
    const name = names[i] ?? (['mask', 'training'] as const).find((one) => !(one in options));
    if (value !== null && value !== undefined && name) options[name] = value;
  });
  return [(first ? first[1] : args[0]) as Structure<Tensor>, options];
}

function structure(places: unknown, find: (place: Reference) => Tensor): Structure<Tensor> {
  if (Array.isArray(places)) {
    const [name, call, output] = places as unknown[];
    if (places.length === 3 && typeof name === 'string' && Number.isInteger(call) && Number.isInteger(output))
      return find([name, call as number, output as number]);
    return places.map((place) => structure(place, find));
  }
  if (typeof places === 'object' && places !== null)
    return Object.fromEntries(Object.entries(places).map(([key, place]) => [key, structure(place, find)]));
  throw invalid('its lists of inputs and outputs cannot be read');
}

/** A list of one is that one, as Keras's models treat it. */
function single(tensors: Structure<Tensor>): Structure<Tensor> {
  return Array.isArray(tensors) && tensors.length === 1 ? (tensors[0] as Structure<Tensor>) : tensors;
}

function common({ name, trainable }: Config): { name?: string; trainable?: boolean } {
  return {
    ...(typeof name === 'string' && { name }),
    ...(typeof trainable === 'boolean' && { trainable }),
  };
}

function list(value: unknown, where: string, key: string): unknown[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null)) return value;
  throw invalid(`${where} has no list "${key}"`);
}

function invalid(what: string): ChainruleError {
  return new ChainruleError('ERR_CHAINRULE_FORMAT', `the description of the model is broken: ${what}.`);
}
