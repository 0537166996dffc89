import { ChainruleError, shown } from '../errors.js';
import type { LayerOptions } from '../layers/layer.js';
import { checkRules, flag, type Rules, text } from '../rules.js';

/** What a model takes of the options of layers; remat: for models inside others. */
export type ModelOptions = Pick<LayerOptions, 'name' | 'trainable' | 'remat'>;

/** Refuses what the model would ignore: options that only its layers have. */
export function checkModelOptions(where: string, options: object, own: Rules = {}): void {
  if (typeof options === 'object' && options !== null && 'dtype' in options && options.dtype !== undefined)
    throw dtypeOfModel(where, options.dtype);
  checkRules(where, options, { ...own, name: text, trainable: flag, remat: flag });
}

/** A model only hands on what its layers compute: they have the policy. */
export function dtypeOfModel(where: string, dtype: unknown): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: a model has no dtype of its own, got ${shown(dtype)}. Give it to the layers, layers.dense({ units: 64, dtype: 'mixedBfloat16' }), or call setDtypePolicy('mixedBfloat16') before they are made.`,
  );
}
