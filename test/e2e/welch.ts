/** The chance that lists with equal means differ this much: P(T >= t) of Welch's test for "a is larger than b". */
export function welch(a: number[], b: number[]): number {
  const [first, second] = [momentsOf(a), momentsOf(b)];
  const [u, v] = [first.variance / a.length, second.variance / b.length];
  const t = (first.mean - second.mean) / Math.sqrt(u + v);
  const freedom = (u + v) ** 2 / (u ** 2 / (a.length - 1) + v ** 2 / (b.length - 1));
  return upperTail(t, freedom);
}

function momentsOf(values: number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1) };
}

/** Student's distribution by Simpson's rule over angles: x = sqrt(n) tan(angle) makes its density a power of the cosine. */
function upperTail(t: number, freedom: number): number {
  const density = (angle: number) => Math.cos(angle) ** (freedom - 1);
  const area = (from: number, to: number) => {
    const steps = 2000;
    const h = (to - from) / steps;
    let sum = density(from) + density(to);
    for (let i = 1; i < steps; ++i) sum += (i % 2 ? 4 : 2) * density(from + i * h);
    return (sum * h) / 3;
  };
  const quarter = Math.PI / 2;
  return area(Math.atan(t / Math.sqrt(freedom)), quarter) / area(-quarter, quarter);
}
