import { make } from '../class_options.js';
import { Configured, convertOptions, Family, type OptionTable, type Serialized } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import {
  add,
  ceil,
  cos,
  divide,
  equal,
  floor,
  less,
  lessEqual,
  log,
  minimum,
  multiply,
  power,
  subtract,
  where,
} from '../ops/math.js';
import { float } from '../ops/operands.js';
import * as rules from '../rules.js';

/** Keras's default names that are not the names of their classes. */
const irregularNames: Record<string, string> = {
  PiecewiseConstantDecay: 'PiecewiseConstant',
  CosineDecayRestarts: 'SGDRDecay',
};

/** The learning rate as a formula of the step; it is traced, so nothing happens in JavaScript between steps (https://keras.io/api/optimizers/learning_rate_schedules/). */
export abstract class LearningRateSchedule extends Configured {
  static override readonly options: OptionTable = { name: rules.text };
  readonly name: string;

  constructor(options: { name?: string } = {}) {
    super(options);
    this.name = options.name ?? irregularNames[this.className] ?? this.className;
  }

  /** `step` counts from 0, in float32. */
  abstract call(step: Tensor): Tensor;
}

export interface DecayOptions {
  initialLearningRate: number;
  decaySteps: number;
  name?: string;
}

abstract class Decay extends LearningRateSchedule {
  static override readonly options: OptionTable = {
    initialLearningRate: rules.required(rules.atLeast(0), '0.01'),
    decaySteps: rules.required(rules.above(0), '1000'),
  };
  readonly initialLearningRate: number;
  readonly decaySteps: number;

  constructor(options: DecayOptions) {
    super(options);
    this.initialLearningRate = options.initialLearningRate;
    this.decaySteps = options.decaySteps;
  }
}

export type RateDecayOptions = DecayOptions & { decayRate: number; staircase?: boolean };

abstract class RateDecay extends Decay {
  static override readonly options: OptionTable = {
    decayRate: rules.required(rules.atLeast(0), '0.9'),
    staircase: rules.flag,
  };
  readonly decayRate: number;
  readonly staircase: boolean;

  constructor(options: RateDecayOptions) {
    super(options);
    this.decayRate = options.decayRate;
    this.staircase = options.staircase ?? false;
  }

  protected progress(step: Tensor): Tensor {
    const p = divide(step, this.decaySteps);
    return this.staircase ? floor(p) : p;
  }
}

/** initial · rate^(step / decaySteps). */
export class ExponentialDecay extends RateDecay {
  override call(step: Tensor): Tensor {
    return multiply(power(this.decayRate, this.progress(step)), this.initialLearningRate);
  }
}

/** initial / (1 + rate · step / decaySteps). */
export class InverseTimeDecay extends RateDecay {
  override call(step: Tensor): Tensor {
    return divide(this.initialLearningRate, add(multiply(this.progress(step), this.decayRate), 1));
  }
}

/** values[i] while step ≤ boundaries[i], then the last value. */
export class PiecewiseConstantDecay extends LearningRateSchedule {
  static override readonly options: OptionTable = {
    boundaries: rules.required(rules.listOf(rules.number), '[1000, 5000]'),
    values: rules.required(rules.listOf(rules.atLeast(0)), '[0.1, 0.01, 0.001]'),
  };
  readonly boundaries: readonly number[];
  readonly values: readonly number[];

  constructor(options: { boundaries: readonly number[]; values: readonly number[]; name?: string }) {
    super(options);
    this.boundaries = options.boundaries;
    this.values = options.values;
    if (this.values.length !== this.boundaries.length + 1) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `PiecewiseConstantDecay: one value more than boundaries is needed, got ${this.values.length} values and ${this.boundaries.length} boundaries.`,
      );
    }
  }

  override call(step: Tensor): Tensor {
    let rate = float(this.values.at(-1)!);
    for (let i = this.boundaries.length - 1; i >= 0; i--)
      rate = where(lessEqual(step, this.boundaries[i]!), this.values[i]!, rate);
    return rate;
  }
}

export class PolynomialDecay extends Decay {
  static override readonly options: OptionTable = {
    endLearningRate: rules.atLeast(0),
    power: rules.atLeast(0),
    cycle: rules.flag,
  };
  readonly endLearningRate: number;
  readonly power: number;
  readonly cycle: boolean;

  constructor(options: DecayOptions & { endLearningRate?: number; power?: number; cycle?: boolean }) {
    super(options);
    this.endLearningRate = options.endLearningRate ?? 1e-4;
    this.power = options.power ?? 1;
    this.cycle = options.cycle ?? false;
  }

  override call(step: Tensor): Tensor {
    const p = this.cycle
      ? divide(step, multiply(where(equal(step, 0), 1, ceil(divide(step, this.decaySteps))), this.decaySteps))
      : divide(minimum(step, this.decaySteps), this.decaySteps);
    return add(
      multiply(power(subtract(1, p), this.power), this.initialLearningRate - this.endLearningRate),
      this.endLearningRate,
    );
  }
}

/** ((1 − alpha) · ½(1 + cos πp) + alpha) · factor. */
function cosine(p: Tensor, alpha: number, factor: Tensor | number): Tensor {
  const wave = multiply(multiply(add(cos(multiply(p, Math.PI)), 1), 0.5), factor);
  return add(multiply(wave, 1 - alpha), alpha);
}

/** A cosine from the initial rate to alpha of it; with a warm-up, from warmupTarget after warmupSteps of linear growth. */
export class CosineDecay extends Decay {
  static override readonly options: OptionTable = {
    alpha: rules.atLeast(0),
    warmupTarget: rules.atLeast(0),
    warmupSteps: rules.atLeast(0),
  };
  readonly alpha: number;
  readonly warmupTarget: number | undefined;
  readonly warmupSteps: number;

  constructor(options: DecayOptions & { alpha?: number; warmupTarget?: number; warmupSteps?: number }) {
    super(options);
    this.alpha = options.alpha ?? 0;
    this.warmupTarget = options.warmupTarget;
    this.warmupSteps = options.warmupSteps ?? 0;
  }

  override call(step: Tensor): Tensor {
    const { initialLearningRate: initial, warmupTarget: target, warmupSteps: warmup } = this;
    if (target === undefined) return this.decay(minimum(step, this.decaySteps), initial);
    const now = minimum(step, this.decaySteps + warmup);
    const decayed = this.decay(subtract(now, warmup), target);
    return warmup === 0
      ? decayed
      : where(less(now, warmup), add(multiply(divide(now, warmup), target - initial), initial), decayed);
  }

  private decay(step: Tensor, from: number): Tensor {
    return multiply(cosine(divide(step, this.decaySteps), this.alpha, 1), from);
  }
}

/** Cosines one after the other, each tMul times as long and mMul times as high. */
export class CosineDecayRestarts extends LearningRateSchedule {
  static override readonly options: OptionTable = {
    initialLearningRate: rules.required(rules.atLeast(0), '0.01'),
    firstDecaySteps: rules.required(rules.above(0), '1000'),
    tMul: rules.above(0),
    mMul: rules.atLeast(0),
    alpha: rules.atLeast(0),
  };
  readonly initialLearningRate: number;
  readonly firstDecaySteps: number;
  readonly tMul: number;
  readonly mMul: number;
  readonly alpha: number;

  constructor(options: {
    initialLearningRate: number;
    firstDecaySteps: number;
    tMul?: number;
    mMul?: number;
    alpha?: number;
    name?: string;
  }) {
    super(options);
    this.initialLearningRate = options.initialLearningRate;
    this.firstDecaySteps = options.firstDecaySteps;
    this.tMul = options.tMul ?? 2;
    this.mMul = options.mMul ?? 1;
    this.alpha = options.alpha ?? 0;
  }

  override call(step: Tensor): Tensor {
    const { tMul, mMul } = this;
    const p = divide(step, this.firstDecaySteps);
    let restart: Tensor;
    let within: Tensor;
    if (tMul === 1) {
      restart = floor(p);
      within = subtract(p, restart);
    } else {
      restart = floor(divide(log(subtract(1, multiply(p, 1 - tMul))), Math.log(tMul)));
      const length = power(tMul, restart);
      within = divide(subtract(p, divide(subtract(1, length), 1 - tMul)), length);
    }
    return multiply(cosine(within, this.alpha, power(mMul, restart)), this.initialLearningRate);
  }
}

export const scheduleFamily = new Family<LearningRateSchedule>('learning rate schedule', 'keras.optimizers.schedules')
  .add(ExponentialDecay)
  .add(InverseTimeDecay)
  .add(PiecewiseConstantDecay)
  .add(PolynomialDecay)
  .add(CosineDecay)
  .add(CosineDecayRestarts);
convertOptions('schedule', scheduleFamily);

export const exponentialDecay = (options: RateDecayOptions): ExponentialDecay => make(ExponentialDecay, options);
export const inverseTimeDecay = (options: RateDecayOptions): InverseTimeDecay => make(InverseTimeDecay, options);
export const piecewiseConstantDecay = (
  options: ConstructorParameters<typeof PiecewiseConstantDecay>[0],
): PiecewiseConstantDecay => make(PiecewiseConstantDecay, options);
export const polynomialDecay = (options: ConstructorParameters<typeof PolynomialDecay>[0]): PolynomialDecay =>
  make(PolynomialDecay, options);
export const cosineDecay = (options: ConstructorParameters<typeof CosineDecay>[0]): CosineDecay =>
  make(CosineDecay, options);
export const cosineDecayRestarts = (
  options: ConstructorParameters<typeof CosineDecayRestarts>[0],
): CosineDecayRestarts => make(CosineDecayRestarts, options);

/** A schedule from a name, a config or an object, and back into a config. */
export const get = (spec: LearningRateSchedule | Serialized): LearningRateSchedule => scheduleFamily.resolve(spec);
export const serialize = (schedule: LearningRateSchedule): Serialized => scheduleFamily.serialize(schedule);
