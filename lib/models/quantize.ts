import { ChainruleError, checkOptions, nearest, shown } from '../errors.js';
import type { Variable } from '../graph/variable.js';
import { bfloat16Weights, quantizeBfloat16 } from '../layers/bfloat16.js';
import type { Layer } from '../layers/layer.js';
import { maxInt8Rows, type QuantizationMode, quantizationModes, quantizeLayer } from '../layers/quantization.js';
import type { Model } from './model.js';

export interface QuantizeOptions {
  /** Only layers whose name a pattern is found in, or that a function picks (default: all that can be). */
  filters?: string | RegExp | readonly (string | RegExp)[] | ((layer: Layer) => boolean);
  /**
   * For 'int8' also the kernels of Conv2D, every image being scaled by its largest magnitude (default false). Keras leaves them in
   * float32, so such a model cannot be saved as .keras; saveWeights keeps its weights.
   */
  convolutions?: boolean;
}

/** What a mode stores, and how. */
interface Storage {
  /** Weights that it can store of a layer: those in float32, and those that it stored already. */
  weights(layer: Layer, options: QuantizeOptions): Variable[];
  store(layer: Layer): Promise<void>;
  /** The layers that it can store, for messages. */
  able(): string;
}

const storages: Readonly<Record<QuantizationMode, Storage>> = {
  int8: {
    weights: (layer, { convolutions }) => {
      const form = layer.int8Weight;
      return form && (convolutions || !form.onlyHere)
        ? [(layer as unknown as Record<string, Variable>)[form.weight]!]
        : [];
    },
    store: (layer) => quantizeLayer(layer, layer.int8Weight!),
    // Made when it is said: the first number that is written for a locale costs a process 17 ms.
    able: () =>
      `Dense, EinsumDense and Embedding can be (not classes that extend them, nor kernels of more than ${maxInt8Rows.toLocaleString('en-US')} rows), and with { convolutions: true } Conv2D of one group and 32 or more numbers a window`,
  },
  bfloat16: {
    weights: bfloat16Weights,
    store: quantizeBfloat16,
    able: () => 'Dense, EinsumDense, Embedding, convolutions with one kernel and recurrent layers can be',
  },
};

/** Keras's model.quantize (https://keras.io/api/models/model/): layer by layer, so that memory never grows by more than one. */
export async function quantizeModel(model: Model, mode: QuantizationMode, options: QuantizeOptions): Promise<void> {
  checkOptions('quantize', options, ['filters', 'convolutions']);
  if (!quantizationModes.includes(mode))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `quantize: the mode is ${quantizationModes.map((one) => `'${one}'`).join(' or ')}, got ${shown(mode)}${meant(mode)}`,
    );
  if (mode === 'bfloat16' && options.convolutions !== undefined)
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      "quantize: convolutions is an option of 'int8'; 'bfloat16' stores those, too. Leave layers out by filters.",
    );
  model.needBuilt('quantize');
  const { weights, store, able } = storages[mode];
  const all = allLayers(model);
  const pick = picker(options.filters);
  const picked = all.filter((layer) => layer.built && weights(layer, options).length > 0 && pick(layer));
  const chosen = picked.filter(({ quantization }) => !quantization);
  // What int8 stores is nothing that bfloat16 could.
  const done = all.find((layer) => layer.built && layer.quantization && pick(layer));
  if (done && chosen.length === 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_STATE',
      `quantize: layer "${done.name}" of model "${model.name}" is stored as ${done.quantization} already, and so is all else that ${options.filters === undefined ? `${mode} can store` : 'filters pick'}; quantize the float32 model once.`,
    );
  const mixed = mode === 'int8' && chosen.find(({ dtype }) => dtype !== 'float32');
  if (mixed)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `quantize: layer "${mixed.name}" has the dtype ${mixed.dtype}; int8 is made of layers of float32. Leave it out by filters.`,
    );
  const owners = ownersOf(all);
  for (const layer of chosen) {
    const shared = weights(layer, options).find((weight) => owners.get(weight)! > 1);
    if (shared)
      throw new ChainruleError(
        'ERR_CHAINRULE_UNSUPPORTED',
        `quantize: another layer computes with the ${shared.name} of "${layer.name}", too (SpectralNormalization?); leave it out by filters.`,
      );
  }
  if (chosen.length === 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `quantize: model "${model.name}" has no layer ${options.filters ? `that filters pick and ${mode} can store` : `that ${mode} can store`}: ${able()}.`,
    );
  const end = begin(model, chosen);
  try {
    for (const layer of chosen) {
      const old = weights(layer, options);
      await store(layer).catch((error: unknown) => {
        throw incomplete(error, mode, layer, chosen);
      });
      model.compiled?.optimizer.forget(old);
    }
    // What is left must not hold on to memory that it shared with the old weights.
    const left = [...model.weights, ...(model.compiled?.optimizer.variables ?? [])];
    await Promise.all(left.map((variable) => variable.native.compact()));
  } finally {
    end();
  }
}

function meant(mode: unknown): string {
  if (mode === 'bf16') return '; did you mean "bfloat16"?';
  const guess = typeof mode === 'string' && nearest(mode, quantizationModes);
  return guess ? `; did you mean "${guess}"?` : ". Keras's other modes are not here yet.";
}

/** Models whose weights change now, and layers that are being quantized. */
export const fitting = new Set<Model>();
const changing = new Set<Layer>();

/** Neither this model nor another one with these layers may train meanwhile; the result ends it. */
function begin(model: Model, chosen: readonly Layer[]): () => void {
  for (const other of fitting) {
    const shared = other === model ? undefined : allLayers(other).find((layer) => chosen.includes(layer));
    if (shared)
      throw new ChainruleError(
        'ERR_CHAINRULE_BUSY',
        `quantize: model "${other.name}" is being fitted and computes with layer "${shared.name}", too; await that fit (or abort it) before.`,
      );
  }
  const end = model.beginFit();
  for (const layer of chosen) changing.add(layer);
  return () => {
    for (const layer of chosen) changing.delete(layer);
    end();
  };
}

/** Layers are changed one after another; an error says how far that went. */
function incomplete(error: unknown, mode: QuantizationMode, layer: Layer, chosen: readonly Layer[]): ChainruleError {
  const done = chosen.slice(0, chosen.indexOf(layer)).map(({ name }) => `"${name}"`);
  const state =
    done.length > 0
      ? `${done.join(', ')} ${done.length > 1 ? 'are' : 'is'} stored as ${mode} already`
      : 'no layer was changed';
  return new ChainruleError(
    error instanceof ChainruleError ? error.code : 'ERR_CHAINRULE_STATE',
    `quantize: layer "${layer.name}" failed (${error instanceof Error ? error.message : String(error)}); ${state}. quantize goes on with the others when it is called again.`,
    { details: { layer: layer.name }, cause: error },
  );
}

/** Layers with weights that are stored so. */
export function quantizedLayers(model: Model, mode: QuantizationMode): Layer[] {
  return allLayers(model).filter(({ quantization }) => quantization === mode);
}

/** Weights in few bits have no gradient. */
export function checkTrainable(model: Model, where: 'fit' | 'trainOnBatch'): void {
  const all = allLayers(model);
  const busy = changing.size > 0 && all.find((layer) => changing.has(layer));
  if (busy)
    throw new ChainruleError(
      'ERR_CHAINRULE_BUSY',
      `${where}: layer "${busy.name}" of model "${model.name}" is being quantized; quantized weights are for inference.`,
    );
  const first = all.find(({ quantization }) => quantization);
  if (!first) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `${where}: model "${model.name}" is quantized (layer "${first.name}" holds ${first.quantization} weights), which is for inference. Train first and quantize afterwards, or load the file of the float32 model.`,
  );
}

export function allLayers(root: Layer): Layer[] {
  const found = new Set<Layer>();
  const visit = (layer: Layer): void => {
    if (found.has(layer)) return;
    found.add(layer);
    layer.sublayers.forEach(visit);
  };
  visit(root);
  return [...found];
}

/** How many layers hold a variable themselves. */
function ownersOf(layers: readonly Layer[]): Map<Variable, number> {
  const owners = new Map<Variable, number>();
  for (const layer of layers)
    for (const variable of layer.ownWeights) owners.set(variable, (owners.get(variable) ?? 0) + 1);
  return owners;
}

function picker(filters: QuantizeOptions['filters']): (layer: Layer) => boolean {
  if (filters === undefined) return () => true;
  if (typeof filters === 'function') return filters;
  const patterns = [filters].flat().map(pattern);
  return ({ name }) => patterns.some((one) => one.test(name));
}

/** Without the flags that make `test` remember where it was. */
function pattern(given: unknown): RegExp {
  if (given instanceof RegExp) return new RegExp(given.source, given.flags.replace(/[gy]/g, ''));
  let why =
    'a string, a RegExp, a list of those or a function of the layer is expected; leave filters out for all layers';
  try {
    if (typeof given === 'string') return new RegExp(given);
  } catch (error) {
    why = `${(error as Error).message}; escape what is meant literally, or pass (layer) => layer.name === …`;
  }
  throw new ChainruleError('ERR_CHAINRULE_OPTION', `quantize: filters is or holds ${shown(given)}: ${why}.`);
}
