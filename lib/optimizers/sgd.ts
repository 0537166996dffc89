import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { add, multiply, subtract } from '../ops/math.js';
import * as rules from '../rules.js';
import { Optimizer, optimizerFamily, type Update } from './optimizer.js';
import type { OptimizerOptions } from './options.js';

export interface SGDOptions extends OptimizerOptions {
  /** Default 0. */
  momentum?: number;
  nesterov?: boolean;
}

/** Gradient descent; the learning rate is inside the velocity: m = μm − lr·g, w += m (https://keras.io/api/optimizers/sgd/). */
export class SGD extends Optimizer {
  static override readonly options: OptionTable = { momentum: rules.between(0, 1), nesterov: rules.flag };
  readonly momentum: number;
  readonly nesterov: boolean;

  constructor(options: SGDOptions = {}) {
    super(options, 0.01);
    this.momentum = options.momentum ?? 0;
    this.nesterov = options.nesterov ?? false;
  }

  protected override slots(): Record<string, number> {
    return this.momentum === 0 ? {} : { momentum: 0 };
  }

  protected override update({ parameter, gradient, slots, learningRate }: Update): {
    parameter: Tensor;
    slots?: Record<string, Tensor>;
  } {
    const step = multiply(gradient, learningRate);
    if (this.momentum === 0) return { parameter: subtract(parameter, step) };
    const momentum = subtract(multiply(slots.momentum!, this.momentum), step);
    const move = this.nesterov ? subtract(multiply(momentum, this.momentum), step) : momentum;
    return { parameter: add(parameter, move), slots: { momentum } };
  }
}

optimizerFamily.add(SGD);
