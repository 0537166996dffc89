import { make } from '../class_options.js';
import type { Serialized } from '../config.js';
import * as constants from './constant.js';
import { type Initializer, initializerFamily } from './initializer.js';
import * as randoms from './random.js';

export * from './constant.js';
export {
  Initializer,
  type InitializerName,
  type InitializerSpec,
  initializerFamily,
  resolveInitializer,
} from './initializer.js';
export * from './random.js';

type Options<C extends new (options?: never) => unknown> = ConstructorParameters<C>[0];

/** Factories by Keras's names, in camelCase. */
export const zeros = (options?: Record<string, never>): constants.Zeros => make(constants.Zeros, options);
export const ones = (options?: Record<string, never>): constants.Ones => make(constants.Ones, options);
export const constant = (options?: Options<typeof constants.Constant>): constants.Constant =>
  make(constants.Constant, options);
export const identity = (options?: Options<typeof constants.Identity>): constants.Identity =>
  make(constants.Identity, options);
export const glorotUniform = (options?: randoms.ScalingOptions): randoms.GlorotUniform =>
  make(randoms.GlorotUniform, options);
export const glorotNormal = (options?: randoms.ScalingOptions): randoms.GlorotNormal =>
  make(randoms.GlorotNormal, options);
export const heUniform = (options?: randoms.ScalingOptions): randoms.HeUniform => make(randoms.HeUniform, options);
export const heNormal = (options?: randoms.ScalingOptions): randoms.HeNormal => make(randoms.HeNormal, options);
export const lecunUniform = (options?: randoms.ScalingOptions): randoms.LecunUniform =>
  make(randoms.LecunUniform, options);
export const lecunNormal = (options?: randoms.ScalingOptions): randoms.LecunNormal =>
  make(randoms.LecunNormal, options);
export const randomNormal = (options?: Options<typeof randoms.RandomNormal>): randoms.RandomNormal =>
  make(randoms.RandomNormal, options);
export const randomUniform = (options?: Options<typeof randoms.RandomUniform>): randoms.RandomUniform =>
  make(randoms.RandomUniform, options);
export const truncatedNormal = (options?: Options<typeof randoms.TruncatedNormal>): randoms.TruncatedNormal =>
  make(randoms.TruncatedNormal, options);
export const varianceScaling = (options?: Options<typeof randoms.VarianceScaling>): randoms.VarianceScaling =>
  make(randoms.VarianceScaling, options);
export const orthogonal = (options?: Options<typeof randoms.Orthogonal>): randoms.Orthogonal =>
  make(randoms.Orthogonal, options);

/** An initializer from a name, a config or an object, and back into a config. */
export { resolveInitializer as get } from './initializer.js';
export const serialize = (initializer: Initializer): Serialized => initializerFamily.serialize(initializer);
