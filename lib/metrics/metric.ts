import { Configured, Family, type OptionTable } from '../config.js';
import { StateVariable } from '../graph/state.js';
import type { Tensor } from '../graph/tensor.js';
import { snakeClass } from '../names.js';
import type { DType } from '../native.js';
import { add, subtract } from '../ops/math.js';
import type { Operand } from '../ops/operands.js';
import { full } from '../ops/shape.js';
import * as rules from '../rules.js';

export interface MetricOptions {
  name?: string;
}

/** Whether a larger value is better: what `mode: 'auto'` of callbacks goes by. */
export type Direction = 'up' | 'down';

/**
 * A number over many batches (https://keras.io/api/metrics/). `updateState` and `result` are traced; the state belongs
 * to the program that uses the metric, so a validation may run during a fit.
 */
export abstract class Metric extends Configured {
  static override readonly options: OptionTable = { name: rules.text };
  name: string;
  /** Unknown when absent. */
  readonly direction: Direction | undefined = undefined;
  readonly #states: StateVariable[] = [];

  constructor(options: MetricOptions = {}) {
    super(options);
    this.name = options.name ?? snakeClass(this.className);
  }

  abstract updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void;
  abstract result(): Tensor;

  /** Back to the beginning. */
  resetState(): void {
    for (const state of this.#states) state.assign(full(state.shape, state.fill, state.dtype));
  }

  /** State by description; `read` and `assign` mean the storage of the program being traced. */
  protected addState(name: string, shape: readonly number[] = [], dtype: DType = 'float32', fill = 0): StateVariable {
    const state = new StateVariable(`${this.name}/${name}`, shape, dtype, fill);
    this.#states.push(state);
    return state;
  }

  /** A sum that does not stall: see RunningSum. */
  protected addSum(name: string, shape: readonly number[] = []): RunningSum {
    return new RunningSum(this.addState(name, shape), this.addState(`${name}_error`, shape));
  }
}

/** A float sum with the rounding error of each addition carried along (Knuth's two-sum), exact far beyond 2^24. */
export class RunningSum {
  constructor(
    private readonly total: StateVariable,
    private readonly error: StateVariable,
  ) {}

  add(value: Tensor): void {
    const before = this.total.read();
    const after = add(before, value);
    const shift = subtract(after, before);
    const lost = add(subtract(before, subtract(after, shift)), subtract(value, shift));
    this.total.assign(after);
    this.error.assign(add(this.error.read(), lost));
  }

  value(): Tensor {
    return add(this.total.read(), this.error.read());
  }
}

export type MetricFunction = (yTrue: Tensor, yPred: Tensor) => Tensor;
export const metricFamily = new Family<Metric>('metric', 'keras.metrics');
