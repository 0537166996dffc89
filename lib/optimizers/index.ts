import { make } from '../class_options.js';
import type { Serialized } from '../config.js';
import { Adam, type AdamOptions, AdamW } from './adam.js';
import * as adaptive from './adaptive.js';
import { type Optimizer, optimizerFamily } from './optimizer.js';
import { SGD, type SGDOptions } from './sgd.js';

export * from './adam.js';
export * from './adaptive.js';
export { clipByGlobalNorm, globalNorm } from './clipping.js';
export { Optimizer } from './optimizer.js';
export type { OptimizerOptions } from './options.js';
export * from './sgd.js';

export type OptimizerName =
  | 'sgd'
  | 'adam'
  | 'adamW'
  | 'rmsprop'
  | 'adagrad'
  | 'adadelta'
  | 'adamax'
  | 'nadam'
  | 'lion'
  | 'ftrl';
export type OptimizerSpec = OptimizerName | Optimizer | Serialized;

/** An optimizer from a name, an object or a config. */
export function resolveOptimizer(spec: OptimizerSpec): Optimizer {
  return optimizerFamily.resolve(spec);
}

export const sgd = (options?: SGDOptions): SGD => make(SGD, options);
export const adam = (options?: AdamOptions): Adam => make(Adam, options);
export const adamW = (options?: AdamOptions): AdamW => make(AdamW, options);
export const rmsprop = (options?: adaptive.RMSpropOptions): adaptive.RMSprop => make(adaptive.RMSprop, options);
export const adagrad = (options?: ConstructorParameters<typeof adaptive.Adagrad>[0]): adaptive.Adagrad =>
  make(adaptive.Adagrad, options);
export const adadelta = (options?: ConstructorParameters<typeof adaptive.Adadelta>[0]): adaptive.Adadelta =>
  make(adaptive.Adadelta, options);
export const adamax = (options?: adaptive.BetaOptions): adaptive.Adamax => make(adaptive.Adamax, options);
export const nadam = (options?: adaptive.BetaOptions): adaptive.Nadam => make(adaptive.Nadam, options);
export const lion = (options?: ConstructorParameters<typeof adaptive.Lion>[0]): adaptive.Lion =>
  make(adaptive.Lion, options);
export const ftrl = (options?: adaptive.FtrlOptions): adaptive.Ftrl => make(adaptive.Ftrl, options);

/** An optimizer from a name, a config or an object, and back into a config. */
export const get = resolveOptimizer;
export const serialize = (optimizer: Optimizer): Serialized => optimizerFamily.serialize(optimizer);
