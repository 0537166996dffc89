import type { OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import type { DType } from '../native.js';
import { shapeText } from '../ndarray.js';
import { multiply } from '../ops/math.js';
import { eye, full } from '../ops/shape.js';
import * as rules from '../rules.js';
import { Initializer, initializerFamily } from './initializer.js';

export class Constant extends Initializer {
  static override readonly options: OptionTable = { value: rules.orInfinite(rules.number) };
  readonly value: number;

  constructor(options: { value?: number } = {}) {
    super(options);
    this.value = options.value ?? 0;
  }

  override call(shape: readonly number[], dtype: DType): Tensor {
    return full(shape, this.constantValue(), dtype);
  }

  override constantValue(): number {
    return this.value;
  }
}

export class Zeros extends Initializer {
  override call(shape: readonly number[], dtype: DType): Tensor {
    return full(shape, 0, dtype);
  }

  override constantValue(): number {
    return 0;
  }
}

export class Ones extends Initializer {
  override call(shape: readonly number[], dtype: DType): Tensor {
    return full(shape, 1, dtype);
  }

  override constantValue(): number {
    return 1;
  }
}

/** Ones on the diagonal of a matrix, times `gain`. */
export class Identity extends Initializer {
  static override readonly options: OptionTable = { gain: rules.number };
  readonly gain: number;

  constructor(options: { gain?: number } = {}) {
    super(options);
    this.gain = options.gain ?? 1;
  }

  override call(shape: readonly number[]): Tensor {
    if (shape.length !== 2)
      throw new ChainruleError('ERR_CHAINRULE_SHAPE', `Identity: makes matrices only, got shape ${shapeText(shape)}.`);
    return multiply(eye(shape[0]!, shape[1]!), this.gain);
  }
}

initializerFamily.add(Constant).add(Zeros, 'zero').add(Ones, 'one').add(Identity, 'IdentityInitializer');
