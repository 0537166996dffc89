import { type Config, checked, type OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import { nextSeed } from '../graph/seed.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import * as random from '../ops/random.js';
import { reshape } from '../ops/shape.js';
import * as rules from '../rules.js';
import { fans } from './fans.js';
import { Initializer, initializerFamily } from './initializer.js';

export interface SeedOptions {
  /** The same seed gives the same values at every use; without one, a seed is drawn when the initializer is made. */
  seed?: number;
}

abstract class RandomInitializer extends Initializer {
  static override readonly options: OptionTable = { seed: rules.integer() };
  readonly seed: number;
  /** Files keep the seed that was asked for: without one, each model made from the file draws its own. */
  protected readonly givenSeed: number | null;

  constructor(options: SeedOptions) {
    super(options);
    this.givenSeed = options.seed ?? null;
    this.seed = options.seed ?? nextSeed();
  }

  override getConfig(): Config {
    return { ...super.getConfig(), seed: this.givenSeed };
  }
}

export class RandomNormal extends RandomInitializer {
  static override readonly options: OptionTable = { mean: rules.number, stddev: rules.atLeast(0) };
  readonly mean: number;
  readonly stddev: number;

  constructor(options: SeedOptions & { mean?: number; stddev?: number } = {}) {
    super(options);
    this.mean = options.mean ?? 0;
    this.stddev = options.stddev ?? 0.05;
  }

  override call(shape: readonly number[]): Tensor {
    return random.normal(shape, this);
  }
}

/** A normal distribution cut at two standard deviations. */
export class TruncatedNormal extends RandomNormal {
  override call(shape: readonly number[]): Tensor {
    return random.truncatedNormal(shape, this);
  }
}

export class RandomUniform extends RandomInitializer {
  static override readonly options: OptionTable = { minval: rules.number, maxval: rules.number };
  readonly minval: number;
  readonly maxval: number;

  constructor(options: SeedOptions & { minval?: number; maxval?: number } = {}) {
    super(options);
    this.minval = options.minval ?? -0.05;
    this.maxval = options.maxval ?? 0.05;
  }

  override call(shape: readonly number[]): Tensor {
    return random.uniform(shape, this);
  }
}

export type FanMode = 'fan_in' | 'fan_out' | 'fan_avg';
export type Distribution = 'truncated_normal' | 'untruncated_normal' | 'uniform';

/** A truncated normal keeps this part of its standard deviation; dividing by it gives the variance asked for. */
const truncatedStd = 0.87962566103423978;

export interface ScalingOptions extends SeedOptions {
  /** Which axes of a weight are inputs and outputs, where it is no [window…, in, out]. */
  inputAxes?: readonly number[];
  outputAxes?: readonly number[];
}

/** Samples whose variance is scale / fan. */
export class VarianceScaling extends RandomInitializer {
  static override readonly options: OptionTable = {
    scale: rules.above(0),
    mode: rules.oneOf('fan_in', 'fan_out', 'fan_avg'),
    distribution: rules.oneOf('truncated_normal', 'untruncated_normal', 'uniform'),
    inputAxes: 'value',
    outputAxes: 'value',
  };
  readonly scale: number;
  readonly mode: FanMode;
  readonly distribution: Distribution;
  readonly inputAxes: readonly number[] | undefined;
  readonly outputAxes: readonly number[] | undefined;

  constructor(options: ScalingOptions & { scale?: number; mode?: FanMode; distribution?: Distribution } = {}) {
    super(options);
    this.scale = options.scale ?? 1;
    this.mode = options.mode ?? 'fan_in';
    this.distribution = options.distribution ?? 'truncated_normal';
    this.inputAxes = options.inputAxes;
    this.outputAxes = options.outputAxes;
  }

  override call(shape: readonly number[]): Tensor {
    const { fanIn, fanOut } = fans(shape, this.inputAxes, this.outputAxes);
    const fan = this.mode === 'fan_in' ? fanIn : this.mode === 'fan_out' ? fanOut : (fanIn + fanOut) / 2;
    const scale = this.scale / Math.max(1, fan);
    const { seed } = this;
    if (this.distribution === 'uniform') {
      const limit = Math.sqrt(3 * scale);
      return random.uniform(shape, { minval: -limit, maxval: limit, seed });
    }
    const stddev = Math.sqrt(scale);
    if (this.distribution === 'untruncated_normal') return random.normal(shape, { stddev, seed });
    return random.truncatedNormal(shape, { stddev: stddev / truncatedStd, seed });
  }
}

/** The named cases of VarianceScaling differ in three numbers. */
abstract class NamedScaling extends VarianceScaling {
  override getConfig(): Record<string, unknown> {
    return { seed: this.givenSeed, input_axes: this.inputAxes ?? null, output_axes: this.outputAxes ?? null };
  }
}

export class GlorotUniform extends NamedScaling {
  constructor(options: ScalingOptions = {}) {
    super({ ...checked(new.target, options), scale: 1, mode: 'fan_avg', distribution: 'uniform' });
  }
}

export class GlorotNormal extends NamedScaling {
  constructor(options: ScalingOptions = {}) {
    super({ ...checked(new.target, options), scale: 1, mode: 'fan_avg' });
  }
}

export class HeUniform extends NamedScaling {
  constructor(options: ScalingOptions = {}) {
    super({ ...checked(new.target, options), scale: 2, distribution: 'uniform' });
  }
}

export class HeNormal extends NamedScaling {
  constructor(options: ScalingOptions = {}) {
    super({ ...checked(new.target, options), scale: 2 });
  }
}

export class LecunUniform extends NamedScaling {
  constructor(options: ScalingOptions = {}) {
    super({ ...checked(new.target, options), scale: 1, distribution: 'uniform' });
  }
}

export class LecunNormal extends NamedScaling {
  constructor(options: ScalingOptions = {}) {
    super({ ...checked(new.target, options), scale: 1 });
  }
}

/** A matrix with orthonormal rows or columns; higher ranks are flattened to [everything else, last axis]. */
export class Orthogonal extends RandomInitializer {
  static override readonly options: OptionTable = { gain: rules.number };
  readonly gain: number;

  constructor(options: SeedOptions & { gain?: number } = {}) {
    super(options);
    this.gain = options.gain ?? 1;
  }

  override call(shape: readonly number[]): Tensor {
    if (shape.length < 2)
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `Orthogonal: needs at least 2 dimensions, got ${shapeText(shape)}.`,
      );
    const columns = shape.at(-1)!;
    const rows = shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
    return reshape(random.orthogonal(rows, columns, this), shape);
  }
}

initializerFamily.add(RandomNormal, 'normal').add(TruncatedNormal).add(RandomUniform, 'uniform').add(VarianceScaling);
initializerFamily
  .add(GlorotUniform, 'xavierUniform')
  .add(GlorotNormal, 'xavierNormal')
  .add(HeUniform, 'kaimingUniform');
initializerFamily
  .add(HeNormal, 'kaimingNormal')
  .add(LecunUniform)
  .add(LecunNormal)
  .add(Orthogonal, 'OrthogonalInitializer');
