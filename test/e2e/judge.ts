import { expect } from 'vitest';
import type { Bounds, Recipe } from './sources.js';
import { welch } from './welch.js';

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

/** For rare events: average precision, Σ (R_n − R_(n−1)) · P_n over thresholds, beside precision and recall at 0.5. */
export function rareMetrics(scores: ArrayLike<number>, labels: ArrayLike<number>): Metrics {
  const [p, y] = [Array.from(scores), Array.from(labels)];
  const order = p.map((_, i) => i).sort((a, b) => p[b]! - p[a]!);
  const positives = y.reduce((a, b) => a + b, 0);
  let [hits, area] = [0, 0];
  for (let i = 0; i < order.length; ) {
    const before = hits;
    const score = p[order[i]!];
    for (; i < order.length && p[order[i]!] === score; i++) hits += y[order[i]!]!;
    area += ((hits - before) / positives) * (hits / i);
  }
  const chosen = p.filter((score) => score >= 0.5).length;
  const { recall, auc: roc } = binaryMetrics(p, y);
  return { prAuc: area, recall: recall!, precision: (recall! * positives) / chosen, auc: roc! };
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

const boundMissed = ({ floor, ceiling }: Bounds, value: number): boolean =>
  (floor !== undefined && value < floor) || (ceiling !== undefined && value > ceiling);

/**
 * Runs the recipe's seeds and holds the means to its bounds. The bounds come from as few seeds as ours and one in some thirty is
 * missed by chance, so on a miss the recipes' own rule decides: more seeds, and Welch's t-test between the two lists at 1 %.
 */
export async function holdTo(recipe: Recipe, runSeed: (seed: number) => Promise<Metrics>, more = 10): Promise<void> {
  const { job, results, primary, seeds } = recipe;
  const runs: Metrics[] = [];
  for (const seed of seeds) runs.push(await runSeed(seed));
  const averages = averageOf(runs);
  for (const [name, { mean: reference, floor, ceiling }] of Object.entries(results)) {
    const bound = floor === undefined ? `<= ${ceiling}` : `>= ${floor}`;
    console.log(`${job} ${name}: ${averages[name]!.toFixed(4)} (Keras ${reference.toFixed(4)}, ${bound})`);
  }
  const missed = primary.filter((name) => boundMissed(results[name]!, averages[name]!));
  if (missed.length === 0) return;
  for (let seed = seeds.length; seed < seeds.length + more; ++seed) runs.push(await runSeed(seed));
  for (const name of missed) {
    const sign = results[name]!.floor === undefined ? 1 : -1;
    const own = runs.map((run) => sign * run[name]!);
    const theirs = results[name]!.perSeed.map((value) => sign * value);
    const chance = welch(own, theirs);
    console.log(
      `${job} ${name} missed its bound; with ${runs.length} seeds: worse than Keras by chance p = ${chance.toFixed(3)}`,
    );
    expect(
      chance,
      `${job} ${name}, per seed ${own.map((value) => (sign * value).toFixed(4)).join(', ')}`,
    ).toBeGreaterThan(0.01);
  }
}
