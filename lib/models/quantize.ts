import { ChainruleError, checkOptions, shown } from '../errors.js';
import type { Variable } from '../graph/variable.js';
import type { Layer } from '../layers/layer.js';
import { type QuantizationMode, quantizationModes, quantizeLayer } from '../layers/quantization.js';
import type { Model } from './model.js';

export interface QuantizeOptions {
  /** Only layers whose name a pattern is found in, or that a function picks (default: all that can be). */
  filters?: string | RegExp | readonly (string | RegExp)[] | ((layer: Layer) => boolean);
  /**
   * Also the kernels of Conv2D, every image being scaled by its largest magnitude (default false). Keras leaves them in
   * float32, so such a model cannot be saved as .keras; saveWeights keeps its weights.
   */
  convolutions?: boolean;
}

/** Keras's model.quantize (https://keras.io/api/models/model/): layer by layer, so that memory never grows by more than one. */
export async function quantizeModel(model: Model, mode: QuantizationMode, options: QuantizeOptions): Promise<void> {
  checkOptions('quantize', options, ['filters', 'convolutions']);
  if (!quantizationModes.includes(mode))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `quantize: the mode is one of ${quantizationModes.map((one) => `'${one}'`).join(', ')}, got ${shown(mode)}.`,
    );
  model.needBuilt('quantize');
  const all = allLayers(model);
  const able = all.filter(
    (layer) => layer.built && layer.int8Weight && (options.convolutions || !layer.int8Weight.onlyHere),
  );
  const chosen = able.filter(picker(options.filters));
  const again = chosen.find(({ quantization }) => quantization);
  if (again)
    throw new ChainruleError(
      'ERR_CHAINRULE_STATE',
      `quantize: layer "${again.name}" of model "${model.name}" is stored as ${again.quantization} already; quantize the float32 model once.`,
    );
  const owners = ownersOf(all);
  const shared = chosen.find((layer) => owners.get(weightOf(layer))! > 1);
  if (shared)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `quantize: another layer computes with the ${shared.int8Weight!.weight} of "${shared.name}", too (SpectralNormalization?); leave it out by filters.`,
    );
  if (chosen.length === 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `quantize: model "${model.name}" has no layer ${options.filters ? 'that filters pick and int8 can store' : 'that int8 can store'}: Dense, EinsumDense and Embedding can be (and not classes that extend them).`,
    );
  const end = model.beginFit();
  try {
    for (const layer of chosen) {
      const old = weightOf(layer);
      await quantizeLayer(layer, layer.int8Weight!);
      model.compiled?.optimizer.forget([old]);
    }
    // What is left must not hold on to memory that it shared with the old weights.
    const left = [...model.weights, ...(model.compiled?.optimizer.variables ?? [])];
    await Promise.all(left.map((variable) => variable.native.compact()));
  } finally {
    for (const layer of all) if (isModel(layer)) layer.forgetPrograms();
    end();
  }
}

/** Layers with weights that are not in float32. */
export function quantizedLayers(model: Model): Layer[] {
  return allLayers(model).filter(({ quantization }) => quantization);
}

/** Weights in few bits have no gradient. */
export function checkTrainable(model: Model): void {
  const [first] = quantizedLayers(model);
  if (!first) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `fit: model "${model.name}" is quantized (layer "${first.name}" holds ${first.quantization} weights), which is for inference. Train first and quantize afterwards, or load the file of the float32 model.`,
  );
}

function allLayers(root: Layer): Layer[] {
  const found = new Set<Layer>();
  const visit = (layer: Layer): void => {
    if (found.has(layer)) return;
    found.add(layer);
    layer.sublayers.forEach(visit);
  };
  visit(root);
  return [...found];
}

const weightOf = (layer: Layer): Variable => (layer as unknown as Record<string, Variable>)[layer.int8Weight!.weight]!;

/** How many layers hold a variable themselves. */
function ownersOf(layers: readonly Layer[]): Map<Variable, number> {
  const owners = new Map<Variable, number>();
  for (const layer of layers)
    for (const variable of layer.ownWeights) owners.set(variable, (owners.get(variable) ?? 0) + 1);
  return owners;
}

const isModel = (layer: Layer): layer is Model => 'forgetPrograms' in layer;

function picker(filters: QuantizeOptions['filters']): (layer: Layer) => boolean {
  if (filters === undefined) return () => true;
  if (typeof filters === 'function') return filters;
  const patterns = [filters].flat().map((pattern) => new RegExp(pattern as string | RegExp));
  return ({ name }) => patterns.some((pattern) => pattern.test(name));
}
