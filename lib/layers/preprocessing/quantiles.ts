/** Values in ascending order that stand for many, and how many each stands for. */
export interface Summary {
  values: number[];
  weights: number[];
}

// Keras's quantile sketch (keras/src/layers/preprocessing/discretization.py), number for number.

/** About 1 / epsilon evenly spaced values of a batch. */
export function summarize(data: ArrayLike<number>, epsilon: number): Summary {
  const sorted = Float32Array.from(data).sort();
  const step = Math.max(sorted.length * epsilon, 1);
  const values: number[] = [];
  for (let i = Math.trunc(step - 1); i < sorted.length; i += Math.trunc(step)) values.push(sorted[i]!);
  return { values, weights: values.map(() => Math.fround(step)) };
}

/** Two summaries of different data as one that is not much larger. */
export function mergeSummaries(a: Summary, b: Summary, epsilon: number): Summary {
  const values = [...a.values, ...b.values];
  const weights = [...a.weights, ...b.weights];
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!);
  return compress({ values: order.map((i) => values[i]!), weights: order.map((i) => weights[i]!) }, epsilon);
}

/** The boundaries between `bins` bins of equal weight. */
export function binBoundaries(summary: Summary, bins: number): number[] {
  return compress(summary, 1 / bins).values.slice(0, -1);
}

function compress({ values, weights }: Summary, epsilon: number): Summary {
  if (values.length * epsilon < 1) return { values, weights };
  let total = 0;
  const running = weights.map((weight) => {
    total = Math.fround(total + weight);
    return total;
  });
  const shares = running.map((sum) => Math.fround(sum / total));
  const steps = Math.ceil(1 / epsilon);
  const percents = Array.from({ length: steps }, (_, i) => epsilon + i * epsilon);
  const sums = percents.map((percent) => interpolate(percent, shares, running));
  return {
    values: percents.map((percent) => Math.fround(interpolate(percent, shares, values))),
    weights: sums.map((sum, i) => Math.fround(sum - (sums[i - 1] ?? 0))),
  };
}

/** numpy.interp: linear between the points, constant beyond them. */
function interpolate(x: number, xs: readonly number[], ys: readonly number[]): number {
  if (x <= xs[0]!) return ys[0]!;
  const last = xs.length - 1;
  if (x >= xs[last]!) return ys[last]!;
  const right = xs.findIndex((value) => value > x);
  const [x0, x1, y0, y1] = [xs[right - 1]!, xs[right]!, ys[right - 1]!, ys[right]!];
  return ((y1 - y0) / (x1 - x0)) * (x - x0) + y0;
}
