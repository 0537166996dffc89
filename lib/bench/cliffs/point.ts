import { Executable } from '../../graph/executable.js';
import { gradients } from '../../graph/grad.js';
import type { Tensor, Variable } from '../../graph/index.js';
import { Trace } from '../../graph/trace.js';
import type { Layer } from '../../layers/index.js';
import { type AnyArray, bound, NDArray } from '../../ndarray.js';
import { add, multiply } from '../../ops/math.js';
import { integers, uniform } from '../data.js';
import type { Floor } from '../rounds.js';

/** One shape of a family: a layer or an op on an input, and what it must compute and move at least. */
export interface Point {
  /** What differs within the family. */
  label: string;
  /** Of one row, without the batch. */
  input: readonly number[];
  rows: number;
  /** Of the forward pass on all rows. */
  flop: number;
  /** Numbers of a row of the output, and of the weights. */
  output: number;
  weights?: number;
  /** Integers below this instead of floats. */
  ids?: number;
  /** A layer, or a function of the input. */
  make(): Layer | ((x: Tensor) => Tensor);
}

/** Shapes in an order in which neighbours should take about as long for the same work. */
export interface Family {
  name: string;
  points: readonly Point[];
  /** Gradients that are timed, besides the forward pass; none of ops without weights and with integer inputs. */
  trains?: boolean;
}

export type Direction = 'forward' | 'gradient';

export interface Timing {
  family: string;
  direction: Direction;
  label: string;
  seconds: number;
  flop: number;
  bytes: number;
  /** Of the time, what the machine would need at least. */
  share: number;
  /** The step that takes longest, with its part of the time. */
  slowest: string;
}

/** Numbers of a row. */
export const count = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);

/** Plans are timed step by step, each with its least time: calls from JavaScript and other processes don't count. */
export async function timePoint(family: Family, point: Point, direction: Direction, floor: Floor): Promise<Timing> {
  const trace = new Trace('cpu');
  const shape = [point.rows, ...point.input];
  const arrays = [new NDArray(point.ids ? integers(1, point.ids, ...shape) : uniform(1, ...shape), shape) as AnyArray];
  const outputs = trace.run(() => {
    const x = trace.input('x', point.ids ? 'int32' : 'float32', [-1, ...point.input]);
    const made = point.make();
    const weights: readonly Variable[] = typeof made === 'function' ? [] : weightsOf(made, x);
    const y = typeof made === 'function' ? made(x) : made.apply(x, { training: direction === 'gradient' });
    if (direction === 'forward') return [y];
    const seed = trace.input('seed', 'float32', y.dims);
    const outputShape = [point.rows, ...y.dims.slice(1)];
    arrays.push(new NDArray(uniform(2, ...outputShape), outputShape));
    const wanted = [...(point.ids ? [] : [x]), ...weights];
    const found = gradients(y, wanted, seed);
    // Into the weights, as an optimizer would write; without changing them.
    weights.forEach((weight, i) => {
      const gradient = found[i + (point.ids ? 0 : 1)];
      if (gradient) weight.assign(add(weight.read(), multiply(gradient, 0)));
    });
    return point.ids ? [] : [found[0]!];
  });
  const executable = await Executable.compile(trace, outputs);
  await executable.run(arrays);
  const profile = async (repeats: number): Promise<string[]> =>
    (await executable.program.profile(arrays.map(bound), { repeats, floor })).trimEnd().split('\n');
  const once = secondsIn((await profile(2)).at(-1)!);
  const lines = await profile(Math.max(3, Math.min(200, Math.round(0.02 / once))));
  const seconds = secondsIn(lines.at(-1)!);
  const slowest = lines.slice(1, -1).reduce((a, b) => (secondsIn(a) >= secondsIn(b) ? a : b));
  const times = direction === 'forward' ? 1 : 2;
  const flop = times * point.flop;
  const bytes = times * 4 * (point.rows * (count(point.input) + point.output) + (point.weights ?? 0));
  return {
    family: family.name,
    direction,
    label: point.label,
    seconds,
    flop,
    bytes,
    share: Math.max(flop / floor.gflops, bytes / floor.cacheGBs) / 1e9 / seconds,
    slowest: `${Math.round((100 * secondsIn(slowest)) / seconds)} % ${slowest.slice(47)}`,
  };
}

function weightsOf(layer: Layer, x: Tensor): Variable[] {
  layer.build(x.shape);
  return layer.trainableWeights;
}

/** The first column of a profile's line, in microseconds. */
const secondsIn = (line: string): number => Number.parseFloat(line) / 1e6;
