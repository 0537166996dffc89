import { native } from '../native.js';
import type { Contender } from './contender.js';
import type { Peer } from './peers.js';
import type { Unit, Workload } from './workload.js';

/** The machine's own limits, measured beside each round: a shared machine's clock and cores change all the time. */
export type Floor = Awaited<ReturnType<typeof native.measureFloor>>;

export interface RoundOptions {
  threads: number;
  /** Timed blocks of each contender, in turn; fewer where one takes long, but never below three. */
  blocks: number;
  blockSeconds: number;
}

export interface Rounds {
  /** Seconds per unit by contender, a sample for each round. */
  samples: Map<string, number[]>;
  facts: Map<string, Record<string, number>>;
  floors: Floor[];
  /** Who was left out, and why: `torch eager: ...`. */
  excluded: string[];
}

const LOSS_TOLERANCE = 1e-3;
const SECONDS_PER_CONTENDER = 25;

/** Prepares all contenders, leaves out those whose loss differs, and times blocks in turn. */
export async function compare(
  workload: Workload,
  unit: Unit,
  peers: readonly Peer[],
  options: RoundOptions,
): Promise<Rounds> {
  const rounds: Rounds = { samples: new Map(), facts: new Map(), floors: [], excluded: [] };
  const ours = unit.contender();
  const others = unit.beside?.() ?? [];
  for (const peer of peers) {
    try {
      others.push(...(await peer.contenders({ workload: workload.id, unit: unit.name })));
    } catch (error) {
      rounds.excluded.push(`${peer.program.name}: ${(error as Error).message}`);
    }
  }
  const expected = await ours.prepare();
  const slowest = { seconds: await warmUp(ours, options.blockSeconds) };
  const contenders: Contender[] = [ours];
  for (const contender of others) {
    try {
      const loss = await contender.prepare();
      if (expected !== null && loss !== null && !(Math.abs(loss - expected) <= LOSS_TOLERANCE))
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
    rounds.floors.push(await native.measureFloor(options.threads));
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
