import { expect } from 'vitest';
import type { Recipe } from './sources.js';

// The metrics of the recipes, in float64 from predictions; own code, not the product's.

export type Metrics = Record<string, number>;

const clip = (p: number): number => Math.min(Math.max(p, 1e-7), 1 - 1e-7);
const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Area under the ROC curve by ranks; ties count half. */
function auc(scores: number[], labels: number[]): number {
  const order = scores.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  let rankSum = 0;
  for (let i = 0; i < order.length; ) {
    let end = i;
    while (end < order.length && scores[order[end]!] === scores[order[i]!]) ++end;
    for (let k = i; k < end; ++k) rankSum += labels[order[k]!]! * ((i + end + 1) / 2);
    i = end;
  }
  const positives = labels.reduce((a, b) => a + b, 0);
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (labels.length - positives));
}

export function binaryMetrics(scores: ArrayLike<number>, labels: ArrayLike<number>): Metrics {
  const [p, y] = [Array.from(scores), Array.from(labels)];
  const hits = p.filter((score, i) => y[i] === 1 && score >= 0.5).length;
  return {
    accuracy: mean(p.map((score, i) => Number(Number(score >= 0.5) === y[i]))),
    auc: auc(p, y),
    recall: hits / y.reduce((a, b) => a + b, 0),
    loss: mean(p.map((score, i) => -Math.log(y[i] === 1 ? clip(score) : clip(1 - score)))),
  };
}

export function classMetrics(scores: ArrayLike<number>, labels: ArrayLike<number>, classes: number): Metrics {
  const y = Array.from(labels);
  const rows = y.map((_, i) => Array.from({ length: classes }, (_, c) => scores[i * classes + c]!));
  return {
    accuracy: mean(rows.map((row, i) => Number(row.indexOf(Math.max(...row)) === y[i]))),
    loss: mean(rows.map((row, i) => -Math.log(clip(row[y[i]!]!)))),
  };
}

export function regressionMetrics(predicted: ArrayLike<number>, targets: ArrayLike<number>): Metrics {
  const errors = Array.from(targets, (target, i) => predicted[i]! - target);
  return { mae: mean(errors.map(Math.abs)), rmse: Math.sqrt(mean(errors.map((e) => e * e))) };
}

export const averageOf = (runs: Metrics[]): Metrics =>
  Object.fromEntries(Object.keys(runs[0]!).map((name) => [name, mean(runs.map((run) => run[name]!))]));

/** Means over the seeds against the bounds of the recipe; the metrics it calls primary decide, the others are printed. */
export function holdTo({ job, results, primary }: Recipe, perSeed: Metrics[]): void {
  const got = averageOf(perSeed);
  for (const [name, { mean: reference, floor, ceiling }] of Object.entries(results)) {
    const bound = floor === undefined ? `<= ${ceiling}` : `>= ${floor}`;
    console.log(`${job} ${name}: ${got[name]!.toFixed(4)} (Keras ${reference.toFixed(4)}, ${bound})`);
  }
  for (const name of primary) {
    const { floor, ceiling } = results[name]!;
    const seeds = perSeed.map((run) => run[name]!.toFixed(4)).join(', ');
    if (floor !== undefined) expect(got[name], `${job} ${name}, per seed ${seeds}`).toBeGreaterThanOrEqual(floor);
    if (ceiling !== undefined) expect(got[name], `${job} ${name}, per seed ${seeds}`).toBeLessThanOrEqual(ceiling);
  }
}
