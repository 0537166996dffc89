import { checked, type OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { add, greaterEqual, multiply, where } from '../../ops/math.js';
import { normal, SeedGenerator, uniform } from '../../ops/random.js';
import { shape } from '../../ops/shape.js';
import { L1L2 } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { type CallContext, Layer, type LayerOptions } from '../layer.js';
import { dropRate, noiseShape } from './dropout.js';

/** Adds a normal noise in training (https://keras.io/api/layers/regularization_layers/gaussian_noise/). */
export class GaussianNoise extends Layer {
  static override readonly options: OptionTable = {
    stddev: rules.required(rules.between(0, 1), '0.1'),
    seed: rules.integer(),
  };
  /** 0 … 1. */
  readonly stddev: number;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;

  constructor(options: LayerOptions & { stddev: number; seed?: number }) {
    super(options);
    this.stddev = options.stddev;
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.supportsMasking = true;
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.stddev === 0) return x;
    return add(x, normal(shape(x), { stddev: this.stddev, seed: this.seedGenerator }));
  }
}

/** Multiplies by normal numbers around 1 in training, with the deviation that dropout of `rate` has (https://keras.io/api/layers/regularization_layers/gaussian_dropout/). */
export class GaussianDropout extends Layer {
  static override readonly options: OptionTable = { rate: dropRate, seed: rules.integer() };
  readonly rate: number;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;

  constructor(options: LayerOptions & { rate: number; seed?: number }) {
    super(options);
    this.rate = options.rate;
    if (this.rate === 1)
      throw new ChainruleError('ERR_CHAINRULE_OPTION', 'GaussianDropout: rate 1 means noise without limit; use less.');
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.supportsMasking = true;
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.rate === 0) return x;
    const stddev = Math.sqrt(this.rate / (1 - this.rate));
    return multiply(x, normal(shape(x), { mean: 1, stddev, seed: this.seedGenerator }));
  }
}

/** Dropout that keeps the mean and variance of self-normalising (SELU) nets (https://keras.io/api/layers/regularization_layers/alpha_dropout/). */
export class AlphaDropout extends Layer {
  static override readonly options: OptionTable = { rate: dropRate, noiseShape, seed: rules.integer() };
  readonly rate: number;
  readonly noiseShape: readonly (number | null)[] | undefined;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;

  constructor(options: LayerOptions & { rate: number; noiseShape?: readonly (number | null)[]; seed?: number }) {
    super(options);
    this.rate = options.rate;
    this.noiseShape = options.noiseShape;
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.supportsMasking = true;
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.rate === 0) return x;
    const own = shape(x);
    const noise = this.noiseShape?.map((dim, axis) => dim ?? own[axis]!) ?? own;
    const dropped = -1.6732632423543772 * 1.0507009873554805;
    const factor = ((1 - this.rate) * (1 + this.rate * dropped ** 2)) ** -0.5;
    const kept = greaterEqual(uniform(noise, { seed: this.seedGenerator }), this.rate);
    return add(multiply(where(kept, x, dropped), factor), -factor * dropped * this.rate);
  }
}

/** A penalty l1 · Σ|x| + l2 · Σx² on what passes through (https://keras.io/api/layers/regularization_layers/activity_regularization/). */
export class ActivityRegularization extends Layer {
  static override readonly options: OptionTable = {
    l1: rules.atLeast(0),
    l2: rules.atLeast(0),
    activityRegularizer: 'local',
  };
  readonly l1: number;
  readonly l2: number;

  constructor(options: LayerOptions & { l1?: number; l2?: number } = {}) {
    const { l1 = 0, l2 = 0 } = checked(new.target, options);
    super({ ...options, activityRegularizer: new L1L2({ l1, l2 }) });
    this.l1 = l1;
    this.l2 = l2;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return x;
  }
}
