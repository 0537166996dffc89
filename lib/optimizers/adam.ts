import { checked, type OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { add, divide, maximum, multiply, power, sqrt, square, subtract } from '../ops/math.js';
import * as rules from '../rules.js';
import { Optimizer, optimizerFamily, type Update } from './optimizer.js';
import { beta, type OptimizerOptions } from './options.js';

export interface AdamOptions extends OptimizerOptions {
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Added to √v before the bias correction. Default 1e-7. */
  epsilon?: number;
  amsgrad?: boolean;
}

/** Kingma and Ba's Adam, with Keras's epsilon (https://keras.io/api/optimizers/adam/). */
export class Adam extends Optimizer {
  static override readonly options: OptionTable = {
    beta1: beta,
    beta2: beta,
    epsilon: rules.atLeast(0),
    amsgrad: rules.flag,
  };
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly amsgrad: boolean;

  constructor(options: AdamOptions = {}) {
    super(options, 0.001);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.epsilon = options.epsilon ?? 1e-7;
    this.amsgrad = options.amsgrad ?? false;
  }

  protected override slots(): Record<string, number> {
    return { momentum: 0, velocity: 0, ...(this.amsgrad && { velocity_hat: 0 }) };
  }

  protected override slotOrder(): string[][] {
    return [['momentum', 'velocity'], ['velocity_hat']];
  }

  protected override update({ parameter, gradient, slots, learningRate, step }: Update): {
    parameter: Tensor;
    slots: Record<string, Tensor>;
  } {
    const alpha = divide(
      multiply(learningRate, sqrt(subtract(1, power(this.beta2, step)))),
      subtract(1, power(this.beta1, step)),
    );
    const momentum = add(slots.momentum!, multiply(subtract(gradient, slots.momentum!), 1 - this.beta1));
    const velocity = add(slots.velocity!, multiply(subtract(square(gradient), slots.velocity!), 1 - this.beta2));
    const peak = this.amsgrad ? maximum(slots.velocity_hat!, velocity) : undefined;
    const move = divide(multiply(momentum, alpha), add(sqrt(peak ?? velocity), this.epsilon));
    return { parameter: subtract(parameter, move), slots: { momentum, velocity, ...(peak && { velocity_hat: peak }) } };
  }
}

/** Adam with decoupled weight decay, 0.004 by default (https://keras.io/api/optimizers/adamw/). */
export class AdamW extends Adam {
  constructor(options: AdamOptions = {}) {
    super({ ...checked(new.target, options), weightDecay: options.weightDecay ?? 0.004 });
  }
}

optimizerFamily.add(Adam).add(AdamW);
