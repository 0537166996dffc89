import { cpus, totalmem } from 'node:os';
import { native } from '../native.js';
import type { Contender } from './contender.js';
import { type Summary, summarise } from './measure.js';
import { Peer } from './peers.js';
import type { Unit, Workload } from './workload.js';

export interface BenchOptions {
  threads: number;
  /** Timed blocks of each contender, in turn. */
  blocks: number;
  blockSeconds: number;
  peers: boolean;
  print(line: string): void;
}

export interface BenchResult extends Summary {
  name: string;
  unit: 'ns';
  params: { workload: string; task: string; contender: string };
  samples: number[];
  flop?: number;
  /** Share of the multiply-add peak: the median over rounds, each with its own measurement of the peak. */
  ofPeak?: number;
  /** The peer's median over ours. */
  ratio?: number;
}

const LOSS_TOLERANCE = 1e-3;

interface Rounds {
  /** Seconds per unit by contender, a sample for each round. */
  samples: Map<string, number[]>;
  /** The multiply-add peak beside each round, in flop per second: a shared machine's clock and cores change all the time. */
  peaks: number[];
}

/** Prepares all contenders, drops peers whose loss differs, and times blocks in turn. */
async function compare(workload: Workload, unit: Unit, peers: readonly Peer[], options: BenchOptions): Promise<Rounds> {
  const ours = unit.contender();
  const contenders: Contender[] = [ours];
  for (const peer of peers) contenders.push(...(await peer.contenders({ workload: workload.id, unit: unit.name })));
  const expected = await ours.prepare();
  const samples = new Map<string, number[]>();
  for (const contender of contenders) {
    const loss = contender === ours ? expected : await contender.prepare();
    if (expected !== null && loss !== null && !(Math.abs(loss - expected) <= LOSS_TOLERANCE)) {
      throw new Error(
        `${workload.id} ${unit.name}: ${contender.name} has loss ${loss} after ten steps, ours is ${expected}: not the same work`,
      );
    }
    await contender.block(options.blockSeconds);
    samples.set(contender.name, []);
  }
  const peaks: number[] = [];
  for (let block = 0; block < options.blocks; block++) {
    if (unit.flop) peaks.push((await native.measureFloor(options.threads)).gflops * 1e9);
    for (const contender of contenders) samples.get(contender.name)?.push(await contender.block(options.blockSeconds));
  }
  return { samples, peaks };
}

function timeText(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(2)} us`;
  return seconds < 1 ? `${(seconds * 1e3).toFixed(2)} ms` : `${seconds.toFixed(2)} s`;
}

export async function runBench(chosen: readonly Workload[], options: BenchOptions): Promise<object> {
  native.configure({ threads: options.threads });
  const info = native.info();
  const floor = await native.measureFloor(options.threads);
  options.print(
    `${info.isa}, ${options.threads} threads: ${floor.gflops.toFixed(0)} GFLOP/s multiply-add peak, ${floor.streamGBs.toFixed(0)} GB/s stream`,
  );
  const torch = options.peers ? Peer.torch(options.threads) : null;
  if (typeof torch === 'string') options.print(`torch: not available: ${torch}`);
  const peers = torch instanceof Peer ? [torch] : [];
  for (const peer of peers) options.print(`peer: ${peer.name}`);
  const results: BenchResult[] = [];
  try {
    for (const workload of chosen) {
      for (const unit of workload.units) {
        const { samples, peaks } = await compare(workload, unit, peers, options);
        const ours = summarise(samples.get('chainrule') ?? []).median;
        for (const [contender, seconds] of samples) {
          const summary = summarise(seconds.map((value) => value * 1e9));
          const { flop } = unit;
          const ofPeak = flop ? summarise(seconds.map((value, i) => flop / value / peaks[i]!)).median : undefined;
          const ratio = contender === 'chainrule' ? undefined : summary.median / 1e9 / ours;
          results.push({
            name: `${workload.id} ${unit.name} ${contender}`,
            unit: 'ns',
            params: { workload: workload.id, task: unit.name, contender },
            samples: seconds.map((value) => value * 1e9),
            ...summary,
            ...(unit.flop ? { flop: unit.flop, ofPeak } : {}),
            ...(ratio ? { ratio } : {}),
          });
          const head = `${workload.id.padEnd(4)} ${unit.name.padEnd(8)} ${contender.padEnd(24)}`;
          const share =
            ofPeak && ofPeak > 0.005 ? `${(ofPeak * 100).toFixed(0)} % of peak`.padStart(14) : ''.padStart(14);
          options.print(
            `${head}${timeText(summary.median / 1e9).padStart(11)}${share}${ratio ? `   ratio ${ratio.toFixed(2)}` : `   ${unit.what}`}`,
          );
        }
      }
    }
  } finally {
    for (const peer of peers) peer.close();
  }
  return {
    schema: 'chainrule-bench/1',
    date: new Date().toISOString(),
    host: {
      cpu: cpus()[0]?.model ?? 'unknown',
      isa: info.isa,
      cores: cpus().length,
      node: process.version,
      ram: totalmem(),
    },
    floor,
    config: { threads: options.threads, device: 'cpu', dtype: 'float32' },
    results,
  };
}
