import type { Config, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { layerFamily } from '../../layers/index.js';
import type { Layer } from '../../layers/layer.js';
import { policyOf } from '../../layers/quantization.js';
import { findCustom, inSaveScope, noted } from '../../registered.js';
import type { Model } from '../model.js';
import { quantizedLayers } from '../quantize.js';
import { compileConfig } from './compile_config.js';

/** A model in Keras's JSON: what it is made of and, unless left out, what it was compiled with. */
export function describeModel(model: Model, { compiled = true }: { compiled?: boolean } = {}): Serialized {
  return inSaveScope(() => {
    const saved = layerFamily.serialize(model);
    if (compiled && model.compiled) saved.compile_config = compileConfig(model.compiled);
    checkRegistered(saved, model.name);
    checkQuantized(model);
    return saved;
  });
}

/** Keras's files say of layers in a list or wrapper that they are quantized, but not of those that a layer makes itself. */
function checkQuantized(model: Model): void {
  const said = (layer: Layer): boolean => {
    const { dtype } = (noted(layer)?.config ?? {}) as Config;
    return typeof dtype === 'object' && dtype !== null && policyOf(dtype) !== undefined;
  };
  const lost = quantizedLayers(model, 'int8').find((layer) => !said(layer) || layer.int8Weight?.onlyHere);
  if (!lost) return;
  const why = said(lost)
    ? `as a ${lost.className}, which Keras keeps in float32`
    : "inside another layer, of which Keras's files have no place to say so";
  throw new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `model "${model.name}" cannot be saved: its layer "${lost.name}" holds ${lost.quantization} weights ${why}. Save the model before quantize and call it again after loadModel, or use saveWeights.`,
    { details: { layer: lost.name } },
  );
}

/** A file that nobody could open must not be written: classes of the program are registered first. */
function checkRegistered(root: Serialized, model: string): void {
  const missing = new Map<string, string>();
  const open: unknown[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const { module, class_name: name, registered_name: registered, config } = value as Partial<Serialized>;
    if (module === null && typeof name === 'string' && !findCustom(registered)) {
      const title = (config as { name?: unknown } | undefined)?.name;
      missing.set(name, typeof title === 'string' ? `${name} ("${title}")` : name);
    }
    open.push(...(Object.values(value) as unknown[]).filter((item) => item !== undefined));
  }
  if (missing.size === 0) return;
  const names = [...missing.keys()];
  throw new ChainruleError(
    'ERR_CHAINRULE_UNKNOWN_CLASS',
    `model "${model}" cannot be saved: ${[...missing.values()].join(', ')} ${names.length > 1 ? 'are classes' : 'is a class'} of your own that files cannot name yet. Call registerClass(${names[0]}) first, in the program that saves and in the one that loads.`,
    { details: { classes: names } },
  );
}
