import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { Variable } from '../graph/variable.js';
import {
  abs,
  add,
  clip,
  divide,
  maximum,
  multiply,
  negative,
  power,
  sign,
  sqrt,
  square,
  subtract,
} from '../ops/math.js';
import { float } from '../ops/operands.js';
import * as rules from '../rules.js';
import { Optimizer, optimizerFamily, type Update } from './optimizer.js';
import { beta, type OptimizerOptions } from './options.js';

interface Result {
  parameter: Tensor;
  slots: Record<string, Tensor>;
}

/** ρ·a + (1 − ρ)·b. */
const blend = (a: Tensor, b: Tensor, rho: number): Tensor => add(multiply(a, rho), multiply(b, 1 - rho));

export interface RMSpropOptions extends OptimizerOptions {
  /** Default 0.9. */
  rho?: number;
  momentum?: number;
  /** Inside the root. Default 1e-7. */
  epsilon?: number;
  centered?: boolean;
}

/** Keras's default optimizer (https://keras.io/api/optimizers/rmsprop/). */
export class RMSprop extends Optimizer {
  static override readonly options: OptionTable = {
    rho: rules.between(0, 1),
    momentum: rules.between(0, 1),
    epsilon: rules.atLeast(0),
    centered: rules.flag,
  };
  readonly rho: number;
  readonly momentum: number;
  readonly epsilon: number;
  readonly centered: boolean;

  constructor(options: RMSpropOptions = {}) {
    super(options, 0.001);
    this.rho = options.rho ?? 0.9;
    this.momentum = options.momentum ?? 0;
    this.epsilon = options.epsilon ?? 1e-7;
    this.centered = options.centered ?? false;
  }

  protected override slots(): Record<string, number> {
    return { velocity: 0, ...(this.momentum > 0 && { momentum: 0 }), ...(this.centered && { average_gradient: 0 }) };
  }

  protected override slotOrder(): string[][] {
    return [['velocity'], ['momentum'], ['average_gradient']];
  }

  protected override update({ parameter, gradient, slots, learningRate }: Update): Result {
    const velocity = blend(slots.velocity!, square(gradient), this.rho);
    const average = this.centered ? blend(slots.average_gradient!, gradient, this.rho) : undefined;
    const spread = average ? subtract(velocity, square(average)) : velocity;
    const step = divide(multiply(gradient, learningRate), sqrt(add(spread, this.epsilon)));
    const momentum = this.momentum > 0 ? add(multiply(slots.momentum!, this.momentum), step) : undefined;
    const kept = { velocity, ...(momentum && { momentum }), ...(average && { average_gradient: average }) };
    return { parameter: subtract(parameter, momentum ?? step), slots: kept };
  }
}

export class Adagrad extends Optimizer {
  static override readonly options: OptionTable = {
    initialAccumulatorValue: rules.atLeast(0),
    epsilon: rules.atLeast(0),
  };
  readonly initialAccumulatorValue: number;
  readonly epsilon: number;

  constructor(options: OptimizerOptions & { initialAccumulatorValue?: number; epsilon?: number } = {}) {
    super(options, 0.001);
    this.initialAccumulatorValue = options.initialAccumulatorValue ?? 0.1;
    this.epsilon = options.epsilon ?? 1e-7;
  }

  protected override slots(): Record<string, number> {
    return { accumulator: this.initialAccumulatorValue };
  }

  protected override update({ parameter, gradient, slots, learningRate }: Update): Result {
    const accumulator = add(slots.accumulator!, square(gradient));
    return {
      parameter: subtract(parameter, divide(multiply(gradient, learningRate), sqrt(add(accumulator, this.epsilon)))),
      slots: { accumulator },
    };
  }
}

export class Adadelta extends Optimizer {
  static override readonly options: OptionTable = { rho: rules.between(0, 1), epsilon: rules.atLeast(0) };
  readonly rho: number;
  readonly epsilon: number;

  constructor(options: OptimizerOptions & { rho?: number; epsilon?: number } = {}) {
    super(options, 0.001);
    this.rho = options.rho ?? 0.95;
    this.epsilon = options.epsilon ?? 1e-7;
  }

  protected override slots(): Record<string, number> {
    return { accumulated_grad: 0, accumulated_delta_var: 0 };
  }

  protected override update({ parameter, gradient, slots, learningRate }: Update): Result {
    const grads = blend(slots.accumulated_grad!, square(gradient), this.rho);
    const root = (x: Tensor): Tensor => sqrt(add(x, this.epsilon));
    const delta = negative(divide(multiply(root(slots.accumulated_delta_var!), gradient), root(grads)));
    const deltas = blend(slots.accumulated_delta_var!, square(delta), this.rho);
    return {
      parameter: add(parameter, multiply(delta, learningRate)),
      slots: { accumulated_grad: grads, accumulated_delta_var: deltas },
    };
  }
}

export type BetaOptions = OptimizerOptions & { beta1?: number; beta2?: number; epsilon?: number };

abstract class BetaOptimizer extends Optimizer {
  static override readonly options: OptionTable = { beta1: beta, beta2: beta, epsilon: rules.atLeast(0) };
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;

  constructor(options: BetaOptions = {}) {
    super(options, 0.001);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.epsilon = options.epsilon ?? 1e-7;
  }
}

export class Adamax extends BetaOptimizer {
  protected override slots(): Record<string, number> {
    return { momentum: 0, norm: 0 };
  }

  protected override update({ parameter, gradient, slots, learningRate, step }: Update): Result {
    const momentum = add(slots.momentum!, multiply(subtract(gradient, slots.momentum!), 1 - this.beta1));
    const norm = maximum(multiply(slots.norm!, this.beta2), abs(gradient));
    const scale = multiply(add(norm, this.epsilon), subtract(1, power(this.beta1, step)));
    return {
      parameter: subtract(parameter, divide(multiply(momentum, learningRate), scale)),
      slots: { momentum, norm },
    };
  }
}

export class Nadam extends BetaOptimizer {
  /** The product of the momentum schedule so far. */
  private readonly product = new Variable('u_product', [], { initialValue: 1, trainable: false });
  private now!: { schedule: Tensor; next: Tensor; product: Tensor };

  protected override get extraVariables(): Variable[] {
    return [this.product];
  }

  protected override slots(): Record<string, number> {
    return { momentum: 0, velocity: 0 };
  }

  protected override beginStep(step: Tensor): void {
    const at = (t: Tensor): Tensor => multiply(subtract(1, multiply(power(0.96, t), 0.5)), this.beta1);
    const schedule = at(step);
    const product = multiply(this.product.read(), schedule);
    this.product.assign(product);
    this.now = { schedule, next: at(add(step, 1)), product };
  }

  protected override update({ parameter, gradient, slots, learningRate, step }: Update): Result {
    const { schedule, next, product } = this.now;
    const momentum = add(slots.momentum!, multiply(subtract(gradient, slots.momentum!), 1 - this.beta1));
    const velocity = add(slots.velocity!, multiply(subtract(square(gradient), slots.velocity!), 1 - this.beta2));
    const ahead = divide(multiply(momentum, next), subtract(1, multiply(product, next)));
    const direction = add(ahead, divide(multiply(gradient, subtract(1, schedule)), subtract(1, product)));
    const spread = divide(velocity, subtract(1, power(this.beta2, step)));
    return {
      parameter: subtract(parameter, divide(multiply(direction, learningRate), add(sqrt(spread), this.epsilon))),
      slots: { momentum, velocity },
    };
  }
}

export class Lion extends Optimizer {
  static override readonly options: OptionTable = { beta1: rules.between(0, 1), beta2: rules.between(0, 1) };
  readonly beta1: number;
  readonly beta2: number;

  constructor(options: OptimizerOptions & { beta1?: number; beta2?: number } = {}) {
    super(options, 0.001);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.99;
  }

  protected override slots(): Record<string, number> {
    return { momentum: 0 };
  }

  protected override update({ parameter, gradient, slots, learningRate }: Update): Result {
    const direction = sign(blend(slots.momentum!, gradient, this.beta1));
    return {
      parameter: subtract(parameter, multiply(direction, learningRate)),
      slots: { momentum: blend(slots.momentum!, gradient, this.beta2) },
    };
  }
}

export interface FtrlOptions extends OptimizerOptions {
  learningRatePower?: number;
  initialAccumulatorValue?: number;
  l1RegularizationStrength?: number;
  l2RegularizationStrength?: number;
  l2ShrinkageRegularizationStrength?: number;
  beta?: number;
}

/** Follow the regularised leader (https://keras.io/api/optimizers/ftrl/). */
export class Ftrl extends Optimizer {
  static override readonly options: OptionTable = {
    learningRatePower: {
      expected: 'a number <= 0',
      allows: (value) => rules.number.allows(value) && (value as number) <= 0,
    },
    initialAccumulatorValue: rules.atLeast(0),
    l1RegularizationStrength: rules.atLeast(0),
    l2RegularizationStrength: rules.atLeast(0),
    l2ShrinkageRegularizationStrength: rules.atLeast(0),
    beta: rules.atLeast(0),
  };
  readonly learningRatePower: number;
  readonly initialAccumulatorValue: number;
  readonly l1RegularizationStrength: number;
  readonly l2RegularizationStrength: number;
  readonly l2ShrinkageRegularizationStrength: number;
  readonly beta: number;

  constructor(options: FtrlOptions = {}) {
    super(options, 0.001);
    this.learningRatePower = options.learningRatePower ?? -0.5;
    this.initialAccumulatorValue = options.initialAccumulatorValue ?? 0.1;
    this.l1RegularizationStrength = options.l1RegularizationStrength ?? 0;
    this.l2RegularizationStrength = options.l2RegularizationStrength ?? 0;
    this.l2ShrinkageRegularizationStrength = options.l2ShrinkageRegularizationStrength ?? 0;
    this.beta = options.beta ?? 0;
  }

  protected override slots(): Record<string, number> {
    return { accumulator: this.initialAccumulatorValue, linear: 0 };
  }

  protected override update({ parameter, gradient, slots, learningRate }: Update): Result {
    const l2 = add(divide(float(this.beta), multiply(learningRate, 2)), this.l2RegularizationStrength);
    const shrunk = add(gradient, multiply(parameter, 2 * this.l2ShrinkageRegularizationStrength));
    const accumulator = add(slots.accumulator!, square(gradient));
    const root = (x: Tensor): Tensor => power(x, -this.learningRatePower);
    const linear = add(
      slots.linear!,
      subtract(
        shrunk,
        multiply(divide(subtract(root(accumulator), root(slots.accumulator!)), learningRate), parameter),
      ),
    );
    const quadratic = add(divide(root(accumulator), learningRate), multiply(l2, 2));
    const limited = clip(linear, -this.l1RegularizationStrength, this.l1RegularizationStrength);
    return { parameter: divide(subtract(limited, linear), quadratic), slots: { accumulator, linear } };
  }
}

optimizerFamily.add(RMSprop, 'rmsprop').add(Adagrad).add(Adadelta).add(Adamax).add(Nadam).add(Lion).add(Ftrl);
