/** Statistics of samples. */
export interface Summary {
  median: number;
  min: number;
  p10: number;
  p90: number;
  /** Median of the distances from the median. */
  mad: number;
  /** 95 % bootstrap interval of the median. */
  ci95: [number, number];
  n: number;
}

const quantile = (sorted: readonly number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;

const inOrder = (samples: readonly number[]) => [...samples].sort((a, b) => a - b);

export function median(samples: readonly number[]): number {
  return quantile(inOrder(samples), 0.5);
}

export function summarise(samples: readonly number[]): Summary {
  const sorted = inOrder(samples);
  // A fixed generator: the interval of given samples is always the same.
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const medians = inOrder(
    Array.from({ length: 500 }, () => median(sorted.map(() => sorted[Math.floor(next() * sorted.length)] ?? 0))),
  );
  const middle = quantile(sorted, 0.5);
  return {
    median: middle,
    min: sorted[0] ?? Number.NaN,
    p10: quantile(sorted, 0.1),
    p90: quantile(sorted, 0.9),
    mad: median(sorted.map((value) => Math.abs(value - middle))),
    ci95: [quantile(medians, 0.025), quantile(medians, 0.975)],
    n: sorted.length,
  };
}

/** One timed block: repeats the unit for at least `seconds` and gives seconds per unit. */
export async function timeBlock(unit: () => Promise<void> | void, seconds: number): Promise<number> {
  const start = performance.now();
  let count = 0;
  let burst = 1; // the clock is looked at between bursts: for units of a microsecond it would cost as much as they do
  let elapsed = 0;
  do {
    for (let i = 0; i < burst; i++) {
      const pending = unit();
      if (pending) await pending;
    }
    count += burst;
    const before = elapsed;
    elapsed = (performance.now() - start) / 1000;
    if (elapsed - before < 2e-4) burst *= 2;
  } while (elapsed < seconds);
  return elapsed / count;
}

/** Middle and 99th percentile of single calls on this thread, in seconds. */
export function latencies(call: () => void, count = 20_000): { p50: number; p99: number } {
  for (let i = 0; i < 1000; i++) call();
  const samples = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = process.hrtime.bigint();
    call();
    samples[i] = Number(process.hrtime.bigint() - start) / 1e9;
  }
  samples.sort();
  return { p50: samples[count >> 1] ?? Number.NaN, p99: samples[Math.floor(count * 0.99)] ?? Number.NaN };
}
