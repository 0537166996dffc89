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
export const zeros = (options?: Record<string, never>): constants.Zeros => new constants.Zeros(options);
export const ones = (options?: Record<string, never>): constants.Ones => new constants.Ones(options);
export const constant = (options?: Options<typeof constants.Constant>): constants.Constant =>
  new constants.Constant(options);
export const identity = (options?: Options<typeof constants.Identity>): constants.Identity =>
  new constants.Identity(options);
export const glorotUniform = (options?: randoms.ScalingOptions): randoms.GlorotUniform =>
  new randoms.GlorotUniform(options);
export const glorotNormal = (options?: randoms.ScalingOptions): randoms.GlorotNormal =>
  new randoms.GlorotNormal(options);
export const heUniform = (options?: randoms.ScalingOptions): randoms.HeUniform => new randoms.HeUniform(options);
export const heNormal = (options?: randoms.ScalingOptions): randoms.HeNormal => new randoms.HeNormal(options);
export const lecunUniform = (options?: randoms.ScalingOptions): randoms.LecunUniform =>
  new randoms.LecunUniform(options);
export const lecunNormal = (options?: randoms.ScalingOptions): randoms.LecunNormal => new randoms.LecunNormal(options);
export const randomNormal = (options?: Options<typeof randoms.RandomNormal>): randoms.RandomNormal =>
  new randoms.RandomNormal(options);
export const randomUniform = (options?: Options<typeof randoms.RandomUniform>): randoms.RandomUniform =>
  new randoms.RandomUniform(options);
export const truncatedNormal = (options?: Options<typeof randoms.TruncatedNormal>): randoms.TruncatedNormal =>
  new randoms.TruncatedNormal(options);
export const varianceScaling = (options?: Options<typeof randoms.VarianceScaling>): randoms.VarianceScaling =>
  new randoms.VarianceScaling(options);
export const orthogonal = (options?: Options<typeof randoms.Orthogonal>): randoms.Orthogonal =>
  new randoms.Orthogonal(options);

/** An initializer from a name, a config or an object, and back into a config. */
export { resolveInitializer as get } from './initializer.js';
export const serialize = (initializer: Initializer): Serialized => initializerFamily.serialize(initializer);
