import { emit } from '../graph/emit.js';
import { nextSeed, seedData } from '../graph/seed.js';
import type { Tensor } from '../graph/tensor.js';
import { Scalar } from '../graph/trace.js';
import { Variable } from '../graph/variable.js';
import { NDArray } from '../ndarray.js';
import { add, cast, floor, multiply } from './math.js';
import { encodeShape, float, type Operand, type ShapeInput } from './operands.js';

/** A stream of random draws: each use takes the next draw, in every run of the program. */
export class SeedGenerator {
  readonly seed: number;
  /** (key0, key1, draw), carried from run to run. */
  readonly state: Variable;

  constructor(seed: number = nextSeed(), name = 'seed_generator_state') {
    this.seed = seed;
    this.state = Variable.seed(name, seed);
  }

  /** The seed of this draw; the state moves on. */
  next(): Tensor {
    const current = this.state.read();
    this.state.assign(emit('seedNext', [current]));
    return current;
  }
}

/** A number gives the same values at every run; a SeedGenerator gives new ones at each. */
export type Seed = number | SeedGenerator;

let fallback: SeedGenerator | undefined;

/** The seed operand of a random op. Without a seed all draws come from one generator of the process. */
export function drawSeed(seed?: Seed): Operand {
  if (typeof seed === 'number') return new NDArray(seedData(seed), [3], 'uint32');
  fallback ??= new SeedGenerator();
  return (seed ?? fallback).next();
}

export interface RandomOptions {
  seed?: Seed;
}

/** Uniform in [minval, maxval). */
export function uniform(
  shape: ShapeInput,
  { minval = 0, maxval = 1, seed }: RandomOptions & { minval?: number; maxval?: number } = {},
): Tensor {
  return emit('randomUniform', [drawSeed(seed)], { shape: encodeShape('uniform', shape), low: minval, high: maxval });
}

export function normal(
  shape: ShapeInput,
  { mean = 0, stddev = 1, seed }: RandomOptions & { mean?: number; stddev?: number } = {},
): Tensor {
  return emit('randomNormal', [drawSeed(seed)], { shape: encodeShape('normal', shape), mean, stddev });
}

/** A normal distribution cut at two standard deviations. */
export function truncatedNormal(
  shape: ShapeInput,
  { mean = 0, stddev = 1, seed }: RandomOptions & { mean?: number; stddev?: number } = {},
): Tensor {
  return emit('randomTruncatedNormal', [drawSeed(seed)], {
    shape: encodeShape('truncatedNormal', shape),
    mean,
    stddev,
  });
}

/** 1 with probability p, else 0; float32. */
export function bernoulli(shape: ShapeInput, p: number, { seed }: RandomOptions = {}): Tensor {
  return emit('randomBernoulli', [drawSeed(seed)], { shape: encodeShape('bernoulli', shape), p });
}

/** Integers in [minval, maxval). */
export function randint(shape: ShapeInput, minval: number, maxval: number, { seed }: RandomOptions = {}): Tensor {
  return cast(add(floor(multiply(uniform(shape, { seed }), maxval - minval)), minval), 'int32');
}

/** The numbers 0 … size-1 in random order; int32. */
export function permutation(size: number, { seed }: RandomOptions = {}): Tensor {
  return emit('permutation', [drawSeed(seed)], { size });
}

/**
 * Zeroes a fraction `rate` of the elements and scales the others by 1 / (1 − rate). In `noiseShape`, axes of size 1
 * share one decision.
 */
export function dropout(
  x: Operand,
  rate: number,
  { noiseShape, seed }: RandomOptions & { noiseShape?: ShapeInput } = {},
): Tensor {
  return dropWith(float(x), drawSeed(seed), rate, noiseShape && encodeShape('dropout', noiseShape));
}

/** Dropout by the draw of `seed`; the mask has the (encoded) shape `noise` where one is given. @internal */
export function dropWith(x: Operand, seed: Operand, rate: number, noise?: readonly number[]): Tensor {
  if (!noise) return emit('dropout', [x, seed], { rate });
  const ones = emit('broadcastTo', [new Scalar(1, 'float32')], { shape: noise });
  return multiply(x, emit('dropout', [ones, seed], { rate }));
}

/** A matrix with orthonormal rows or columns, times gain. */
export function orthogonal(
  rows: number,
  columns: number,
  { gain = 1, seed }: RandomOptions & { gain?: number } = {},
): Tensor {
  return emit('orthogonal', [drawSeed(seed)], { rows, columns, gain });
}
