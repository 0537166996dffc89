import { native } from '../native.js';
import type { Contender } from './contender.js';
import type { Peer } from './peers.js';
import type { Unit, Workload } from './workload.js';

/** A machine's own limits. On a GPU `gflops` are those of factors in tf32. */
export interface Floor {
  gflops: number;
  bf16Gflops?: number;
  streamGBs: number;
  cacheGBs: number;
}

export interface RoundOptions {
  threads: number;
  /** Timed blocks of each contender, in turn; fewer where one takes long, but never below three. */
  blocks: number;
  blockSeconds: number;
  /** Contenders of peers that run, by name; all by default. */
  variants?: ReadonlySet<string>;
  /** The limits of the device. By default the CPU's, measured beside each round: its clock and cores change all the time. */
  floor?: Floor;
  /** Told when getting ready took seconds: compilers take tens of them. */
  print?(line: string): void;
}

export interface Rounds {
  /** Seconds per unit by contender, a sample for each round. */
  samples: Map<string, number[]>;
  facts: Map<string, Record<string, number>>;
  floors: Floor[];
  /** Who was left out, and why: `torch eager: ...`. */
  excluded: string[];
}

/**
 * How far a loss after ten steps may be from `ours`. In float32 all frameworks agree to 1e-3. On a GPU factors are rounded, with
 * a unit roundoff u of 2^-11 (tf32) or 2^-8 (bfloat16): each of the ten updates, and the last loss, is off by about u of the loss,
 * together 11 u of it.
 */
export function lossTolerance(unit: Unit, ours: number, onGpu: boolean): number {
  const roundoff = 2 ** (unit.factors === 'bf16' ? -8 : -11);
  return Math.max(1e-3, onGpu ? 11 * roundoff * Math.abs(ours) : 0);
}

const SECONDS_PER_CONTENDER = 25;

/** Prepares all contenders, leaves out those whose loss differs, and times blocks in turn. */
export async function compare(
  workload: Workload,
  unit: Unit,
  peers: readonly Peer[],
  options: RoundOptions,
): Promise<Rounds> {
  const { variants, floor, print } = options;
  const rounds: Rounds = { samples: new Map(), facts: new Map(), floors: [], excluded: [] };
  const ours = unit.contender();
  const others = unit.beside?.() ?? [];
  for (const peer of peers) {
    try {
      const found = await peer.contenders({ workload: workload.id, unit: unit.name });
      // Named alone, a peer runs with all its variants.
      const all = !variants || variants.has(peer.program.name);
      const named = found.filter(({ name }) => all || variants.has(name));
      if (found.length > 0 && named.length === 0)
        rounds.excluded.push(`none of the variants that were asked for: ${found.map(({ name }) => name).join(', ')}`);
      others.push(...named);
    } catch (error) {
      rounds.excluded.push(`${peer.program.name}: ${(error as Error).message}`);
    }
  }
  const expected = await ours.prepare();
  const tolerance = lossTolerance(unit, expected ?? 0, floor !== undefined);
  const slowest = { seconds: await warmUp(ours, options.blockSeconds) };
  const contenders: Contender[] = [ours];
  for (const contender of others) {
    try {
      const start = performance.now();
      const loss = await contender.prepare();
      const seconds = (performance.now() - start) / 1000;
      if (seconds > 5)
        print?.(`${workload.id} ${unit.name}: ${contender.name} was ready after ${seconds.toFixed(0)} s`);
      if (expected !== null && loss !== null && !(Math.abs(loss - expected) <= tolerance))
        throw new Error(`loss ${loss} after ten steps, ours is ${expected}: not the same work`);
      slowest.seconds = Math.max(slowest.seconds, await warmUp(contender, options.blockSeconds));
      contenders.push(contender);
    } catch (error) {
      rounds.excluded.push(`${contender.name}: ${(error as Error).message}`);
    }
  }
  const fitting = Math.floor(SECONDS_PER_CONTENDER / Math.max(slowest.seconds, options.blockSeconds));
  const blocks = Math.min(options.blocks, Math.max(3, fitting));
  for (const { name } of contenders) rounds.samples.set(name, []);
  for (let block = 0; block < blocks; block++) {
    rounds.floors.push(floor ?? (await native.measureFloor(options.threads)));
    for (const contender of contenders)
      rounds.samples.get(contender.name)?.push(await contender.block(options.blockSeconds));
  }
  for (const contender of contenders) {
    const facts = await contender.facts?.();
    if (facts && Object.keys(facts).length > 0) rounds.facts.set(contender.name, facts);
  }
  return rounds;
}

/** Three blocks that do not count; gives the last one's seconds per unit. */
async function warmUp(contender: Contender, seconds: number): Promise<number> {
  let last = 0;
  for (let i = 0; i < 3; i++) {
    last = await contender.block(seconds);
    if (last > 2.5) break;
  }
  return last;
}
