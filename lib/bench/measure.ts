/** Statistics of samples in seconds. */
export interface Summary {
  median: number;
  min: number;
  p10: number;
  p90: number;
  /** 95 % bootstrap interval of the median. */
  ci95: [number, number];
  n: number;
}

const quantile = (sorted: readonly number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;

export function summarise(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  // A fixed generator: the interval of given samples is always the same.
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const medians = Array.from({ length: 500 }, () => {
    const resampled = sorted.map(() => sorted[Math.floor(next() * sorted.length)] ?? 0).sort((a, b) => a - b);
    return quantile(resampled, 0.5);
  }).sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    min: sorted[0] ?? Number.NaN,
    p10: quantile(sorted, 0.1),
    p90: quantile(sorted, 0.9),
    ci95: [quantile(medians, 0.025), quantile(medians, 0.975)],
    n: sorted.length,
  };
}

/** One timed block: repeats the unit for at least `seconds` and gives seconds per unit. */
export async function timeBlock(unit: () => Promise<void> | void, seconds: number): Promise<number> {
  const start = performance.now();
  let count = 0;
  let elapsed = 0;
  do {
    const pending = unit();
    if (pending) await pending;
    count++;
    elapsed = (performance.now() - start) / 1000;
  } while (elapsed < seconds);
  return elapsed / count;
}
