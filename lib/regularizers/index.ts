import { make } from '../class_options.js';
import { Configured, convertOptions, Family, type OptionTable, type Serialized } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { abs, add, matmul, multiply, square, subtract } from '../ops/math.js';
import { float, type Operand } from '../ops/operands.js';
import { normalize, sum } from '../ops/reduce.js';
import { eye } from '../ops/shape.js';
import * as rules from '../rules.js';

/** A penalty on weights (or on a layer's output) that joins the loss (https://keras.io/api/layers/regularizers/). */
export abstract class Regularizer extends Configured {
  /** The penalty, a scalar. */
  abstract apply(x: Operand): Tensor;
}

/** l1 · Σ|w|. */
export class L1 extends Regularizer {
  static override readonly options: OptionTable = { l1: rules.atLeast(0) };
  readonly l1: number;

  constructor(options: { l1?: number } = {}) {
    super(options);
    this.l1 = options.l1 ?? 0.01;
  }

  override apply(x: Operand): Tensor {
    return multiply(sum(abs(x)), this.l1);
  }
}

/** l2 · Σw² (no ½). */
export class L2 extends Regularizer {
  static override readonly options: OptionTable = { l2: rules.atLeast(0) };
  readonly l2: number;

  constructor(options: { l2?: number } = {}) {
    super(options);
    this.l2 = options.l2 ?? 0.01;
  }

  override apply(x: Operand): Tensor {
    return multiply(sum(square(x)), this.l2);
  }
}

/** l1 · Σ|w| + l2 · Σw². */
export class L1L2 extends Regularizer {
  static override readonly options: OptionTable = { l1: rules.atLeast(0), l2: rules.atLeast(0) };
  readonly l1: number;
  readonly l2: number;

  constructor(options: { l1?: number; l2?: number } = {}) {
    super(options);
    this.l1 = options.l1 ?? 0;
    this.l2 = options.l2 ?? 0;
  }

  override apply(x: Operand): Tensor {
    return add(multiply(sum(abs(x)), this.l1), multiply(sum(square(x)), this.l2));
  }
}

/** factor · mean of |cos| between every two rows (or columns) of a matrix: 0 where all are orthogonal. */
export class OrthogonalRegularizer extends Regularizer {
  static override readonly options: OptionTable = { factor: rules.atLeast(0), mode: 'value' };
  readonly factor: number;
  readonly mode: 'rows' | 'columns';

  constructor(options: { factor?: number; mode?: 'rows' | 'columns' } = {}) {
    super(options);
    this.factor = options.factor ?? 0.01;
    this.mode = options.mode ?? 'rows';
    if (this.mode !== 'rows' && this.mode !== 'columns')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `OrthogonalRegularizer: mode must be "rows" or "columns", got "${String(this.mode)}".`,
      );
  }

  override apply(x: Operand): Tensor {
    const value = float(x);
    if (value.rank !== 2)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `OrthogonalRegularizer: a matrix is expected, got shape ${shapeText(value.shape)}.`,
      );
    const rows = this.mode === 'rows';
    const unit = normalize(value, { axis: rows ? 1 : 0, epsilon: 1e-7 });
    const cosines = matmul(unit, unit, { transposeA: !rows, transposeB: rows });
    const size = value.dims[rows ? 0 : 1]!;
    const others = multiply(cosines, subtract(1, eye(size)));
    return multiply(sum(abs(others)), this.factor / (size * (size - 1)));
  }
}

export type RegularizerName = 'l1' | 'l2' | 'l1L2' | 'orthogonalRegularizer';
export type RegularizerSpec = RegularizerName | Regularizer | Serialized;

export const regularizerFamily = new Family<Regularizer>('regularizer', 'keras.regularizers')
  .add(L1)
  .add(L2)
  .add(L1L2)
  .add(OrthogonalRegularizer);
convertOptions('regularizer', regularizerFamily);
convertOptions('optionalRegularizer', regularizerFamily);

export function resolveRegularizer(spec: RegularizerSpec | null | undefined): Regularizer | undefined {
  return spec === undefined || spec === null ? undefined : regularizerFamily.resolve(spec);
}

export const l1 = (options?: { l1?: number }): L1 => make(L1, options);
export const l2 = (options?: { l2?: number }): L2 => make(L2, options);
export const l1L2 = (options?: { l1?: number; l2?: number }): L1L2 => make(L1L2, options);
export const orthogonalRegularizer = (
  options?: ConstructorParameters<typeof OrthogonalRegularizer>[0],
): OrthogonalRegularizer => make(OrthogonalRegularizer, options);

/** A regularizer from a name, a config or an object, and back into a config. */
export const get = resolveRegularizer;
export const serialize = (regularizer: Regularizer): Serialized => regularizerFamily.serialize(regularizer);
