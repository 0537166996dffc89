import { median, type Summary, summarise } from './measure.js';
import type { Floor, Rounds } from './rounds.js';
import type { Factors, Unit, Workload } from './workload.js';

/** One contender's timing of one unit, as the JSON report holds it; times in nanoseconds. */
export interface BenchResult extends Summary {
  name: string;
  unit: 'ns';
  params: { workload: string; task: string; contender: string; factors?: Factors };
  samples: number[];
  flops?: number;
  bytes?: number;
  /** The floor's time over this one: the median over rounds, each with its own measurement of the floor. */
  ofFloor?: number;
  /** This one's time over Chainrule's: of medians and of best blocks. */
  ratio?: { median: number; best: number };
  facts?: Record<string, number>;
}

/** The least time that the machine needs: for the arithmetic or for moving the bytes. */
export function floorSeconds(unit: Unit, floor: Floor): number {
  const bandwidth = unit.from === 'cache' ? floor.cacheGBs : floor.streamGBs;
  const gflops = unit.factors === 'bf16' ? (floor.bf16Gflops ?? floor.gflops) : floor.gflops;
  return Math.max((unit.flop ?? 0) / (gflops * 1e9), (unit.bytes ?? 0) / (bandwidth * 1e9));
}

/** Chainrule first, then the others in the order they ran; each with its line for people. */
export function resultsOf(workload: Workload, unit: Unit, rounds: Rounds): { result: BenchResult; line: string }[] {
  const ours = summarise(rounds.samples.get('chainrule') ?? []);
  return [...rounds.samples].map(([contender, seconds]) => {
    const summary = summarise(seconds);
    const floors = rounds.floors.map((floor, i) => floorSeconds(unit, floor) / (seconds[i] ?? Number.NaN));
    const ofFloor = unit.flop || unit.bytes ? median(floors) : undefined;
    const ratio =
      contender === 'chainrule' ? undefined : { median: summary.median / ours.median, best: summary.min / ours.min };
    const facts = rounds.facts.get(contender);
    const result: BenchResult = {
      name: `${workload.id} ${unit.name} ${contender}`,
      unit: 'ns',
      params: { workload: workload.id, task: unit.name, contender, ...(unit.factors && { factors: unit.factors }) },
      samples: seconds.map(nanoseconds),
      ...inNanoseconds(summary),
      ...(unit.flop ? { flops: unit.flop } : {}),
      ...(unit.bytes ? { bytes: unit.bytes } : {}),
      ...(ofFloor !== undefined ? { ofFloor } : {}),
      ...(ratio ? { ratio } : {}),
      ...(facts ? { facts } : {}),
    };
    const cells = [
      `${workload.id.padEnd(4)} ${unit.name.padEnd(unit.factors ? 22 : 16)} ${contender.padEnd(26)}`,
      `${timeText(summary.median)} (best ${timeText(summary.min).trim()})`.padEnd(32),
      (ofFloor !== undefined && ofFloor >= 0.005 ? `${(ofFloor * 100).toFixed(0)} % of floor` : '').padStart(14),
      ratio ? `   ratio ${ratio.median.toFixed(2)} (best ${ratio.best.toFixed(2)})` : `   ${unit.what}`,
      ...Object.entries(facts ?? {}).map(([name, value]) => `; ${name} ${factText(name, value)}`),
    ];
    return { result, line: cells.join('') };
  });
}

const nanoseconds = (seconds: number) => Number((seconds * 1e9).toPrecision(7));

function inNanoseconds({ n, ci95: [low, high], ...times }: Summary): Summary {
  const [median, min, p10, p90, mad] = [times.median, times.min, times.p10, times.p90, times.mad].map(nanoseconds);
  return {
    median: median!,
    min: min!,
    p10: p10!,
    p90: p90!,
    mad: mad!,
    ci95: [nanoseconds(low), nanoseconds(high)],
    n,
  };
}

function factText(name: string, value: number): string {
  return /rss|bytes/.test(name) ? `${(value / 1e6).toFixed(0)} MB` : timeText(value).trim();
}

function timeText(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(2)} us`.padStart(11);
  return (seconds < 1 ? `${(seconds * 1e3).toFixed(2)} ms` : `${seconds.toFixed(2)} s`).padStart(11);
}
