import { Configured, convertOptions, Family, type Serialized } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import type { DType } from '../native.js';

/** Describes the first value of a weight; it is computed once, off the main thread (https://keras.io/api/layers/initializers/). */
export abstract class Initializer extends Configured {
  abstract call(shape: readonly number[], dtype: DType): Tensor;

  /** The value, where it is one number for all elements. */
  constantValue(): number | undefined {
    return undefined;
  }
}

export type InitializerName =
  | 'zeros'
  | 'ones'
  | 'constant'
  | 'identity'
  | 'glorotUniform'
  | 'glorotNormal'
  | 'heUniform'
  | 'heNormal'
  | 'lecunUniform'
  | 'lecunNormal'
  | 'randomUniform'
  | 'randomNormal'
  | 'truncatedNormal'
  | 'varianceScaling'
  | 'orthogonal'
  | 'uniform'
  | 'normal';

/** A name, an initializer, its config, or a function that describes the value. */
export type InitializerSpec =
  | InitializerName
  | Initializer
  | Serialized
  | ((shape: readonly number[], dtype: DType) => Tensor);

export const initializerFamily = new Family<Initializer>('initializer', 'keras.initializers');
convertOptions('initializer', initializerFamily);

/** An initializer from what an option may hold. */
export function resolveInitializer(spec: InitializerSpec): Initializer {
  return typeof spec === 'function' ? new FunctionInitializer(spec) : initializerFamily.resolve(spec);
}

class FunctionInitializer extends Initializer {
  constructor(private readonly describe: (shape: readonly number[], dtype: DType) => Tensor) {
    super();
  }

  override call(shape: readonly number[], dtype: DType): Tensor {
    return this.describe(shape, dtype);
  }
}
