import { make } from '../class_options.js';
import { Configured, convertOptions, Family, type OptionTable, type Serialized } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { add, clip, divide, maximum, multiply } from '../ops/math.js';
import { float, type Operand } from '../ops/operands.js';
import { norm } from '../ops/reduce.js';
import * as rules from '../rules.js';

/** A rule that weights are brought back to after every update (https://keras.io/api/layers/constraints/). */
export abstract class Constraint extends Configured {
  abstract apply(weight: Operand): Tensor;
}

const epsilon = 1e-7;

/** Norms along `axis` are at most `maxValue`. */
export class MaxNorm extends Constraint {
  static override readonly options: OptionTable = {
    maxValue: rules.orInfinite(rules.atLeast(0)),
    axis: rules.orList(rules.integer()),
  };
  readonly maxValue: number;
  readonly axis: number | readonly number[];

  constructor(options: { maxValue?: number; axis?: number | readonly number[] } = {}) {
    super(options);
    this.maxValue = options.maxValue ?? 2;
    this.axis = options.axis ?? 0;
  }

  override apply(weight: Operand): Tensor {
    const w = float(weight);
    const size = norm(w, { axis: this.axis, keepdims: true });
    return multiply(w, divide(clip(size, 0, this.maxValue), add(size, epsilon)));
  }
}

/** No negative weights. */
export class NonNeg extends Constraint {
  override apply(weight: Operand): Tensor {
    return maximum(weight, 0);
  }
}

/** Norms along `axis` are 1. */
export class UnitNorm extends Constraint {
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: number | readonly number[];

  constructor(options: { axis?: number | readonly number[] } = {}) {
    super(options);
    this.axis = options.axis ?? 0;
  }

  override apply(weight: Operand): Tensor {
    const w = float(weight);
    return divide(w, add(norm(w, { axis: this.axis, keepdims: true }), epsilon));
  }
}

/** Norms along `axis` move towards [minValue, maxValue] by `rate`. */
export class MinMaxNorm extends Constraint {
  static override readonly options: OptionTable = {
    minValue: rules.atLeast(0),
    maxValue: rules.atLeast(0),
    rate: rules.between(0, 1),
    axis: rules.orList(rules.integer()),
  };
  readonly minValue: number;
  readonly maxValue: number;
  readonly rate: number;
  readonly axis: number | readonly number[];

  constructor(
    options: { minValue?: number; maxValue?: number; rate?: number; axis?: number | readonly number[] } = {},
  ) {
    super(options);
    this.minValue = options.minValue ?? 0;
    this.maxValue = options.maxValue ?? 1;
    this.rate = options.rate ?? 1;
    this.axis = options.axis ?? 0;
  }

  override apply(weight: Operand): Tensor {
    const w = float(weight);
    const size = norm(w, { axis: this.axis, keepdims: true });
    const wanted = add(multiply(clip(size, this.minValue, this.maxValue), this.rate), multiply(size, 1 - this.rate));
    return multiply(w, divide(wanted, add(size, epsilon)));
  }
}

export type ConstraintName = 'maxNorm' | 'nonNeg' | 'unitNorm' | 'minMaxNorm';
export type ConstraintSpec = ConstraintName | Constraint | Serialized;

export const constraintFamily = new Family<Constraint>('constraint', 'keras.constraints')
  .add(MaxNorm)
  .add(NonNeg, 'nonNegative')
  .add(UnitNorm)
  .add(MinMaxNorm);
convertOptions('constraint', constraintFamily);

export function resolveConstraint(spec: ConstraintSpec | null | undefined): Constraint | undefined {
  return spec === undefined || spec === null ? undefined : constraintFamily.resolve(spec);
}

export const maxNorm = (options?: ConstructorParameters<typeof MaxNorm>[0]): MaxNorm => make(MaxNorm, options);
export const nonNeg = (options?: Record<string, never>): NonNeg => make(NonNeg, options);
export const unitNorm = (options?: ConstructorParameters<typeof UnitNorm>[0]): UnitNorm => make(UnitNorm, options);
export const minMaxNorm = (options?: ConstructorParameters<typeof MinMaxNorm>[0]): MinMaxNorm =>
  make(MinMaxNorm, options);

/** A constraint from a name, a config or an object, and back into a config. */
export const get = resolveConstraint;
export const serialize = (constraint: Constraint): Serialized => constraintFamily.serialize(constraint);
