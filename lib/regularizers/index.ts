import { Configured, convertOptions, Family, type Serialized } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { abs, add, multiply, square } from '../ops/math.js';
import type { Operand } from '../ops/operands.js';
import { sum } from '../ops/reduce.js';

/** A penalty on weights (or on a layer's output) that joins the loss (https://keras.io/api/layers/regularizers/). */
export abstract class Regularizer extends Configured {
  /** The penalty, a scalar. */
  abstract apply(x: Operand): Tensor;
}

function checked(where: string, name: string, value: number): number {
  if (value >= 0 && Number.isFinite(value)) return value;
  throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: ${name} must be a number >= 0, got ${value}.`);
}

/** l1 · Σ|w|. */
export class L1 extends Regularizer {
  static override readonly options = { l1: 'value' } as const;
  readonly l1: number;

  constructor(options: { l1?: number } = {}) {
    super(options);
    this.l1 = checked('L1', 'l1', options.l1 ?? 0.01);
  }

  override apply(x: Operand): Tensor {
    return multiply(sum(abs(x)), this.l1);
  }
}

/** l2 · Σw² (no ½). */
export class L2 extends Regularizer {
  static override readonly options = { l2: 'value' } as const;
  readonly l2: number;

  constructor(options: { l2?: number } = {}) {
    super(options);
    this.l2 = checked('L2', 'l2', options.l2 ?? 0.01);
  }

  override apply(x: Operand): Tensor {
    return multiply(sum(square(x)), this.l2);
  }
}

/** l1 · Σ|w| + l2 · Σw². */
export class L1L2 extends Regularizer {
  static override readonly options = { l1: 'value', l2: 'value' } as const;
  readonly l1: number;
  readonly l2: number;

  constructor(options: { l1?: number; l2?: number } = {}) {
    super(options);
    this.l1 = checked('L1L2', 'l1', options.l1 ?? 0);
    this.l2 = checked('L1L2', 'l2', options.l2 ?? 0);
  }

  override apply(x: Operand): Tensor {
    return add(multiply(sum(abs(x)), this.l1), multiply(sum(square(x)), this.l2));
  }
}

export type RegularizerName = 'l1' | 'l2' | 'l1L2';
export type RegularizerSpec = RegularizerName | Regularizer | Serialized;

export const regularizerFamily = new Family<Regularizer>('regularizer', 'keras.regularizers').add(L1).add(L2).add(L1L2);
convertOptions('regularizer', regularizerFamily);
convertOptions('optionalRegularizer', regularizerFamily);

export function resolveRegularizer(spec: RegularizerSpec | null | undefined): Regularizer | undefined {
  return spec === undefined || spec === null ? undefined : regularizerFamily.resolve(spec);
}

export const l1 = (options?: { l1?: number }): L1 => new L1(options);
export const l2 = (options?: { l2?: number }): L2 => new L2(options);
export const l1L2 = (options?: { l1?: number; l2?: number }): L1L2 => new L1L2(options);

/** A regularizer from a name, a config or an object, and back into a config. */
export const get = resolveRegularizer;
export const serialize = (regularizer: Regularizer): Serialized => regularizerFamily.serialize(regularizer);
