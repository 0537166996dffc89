import { native } from '../native.js';
import { Peer } from './peers.js';
import { findPeers } from './programs.js';
import { type BenchResult, resultsOf } from './results.js';
import { compare, type RoundOptions, type Rounds } from './rounds.js';
import type { Workload } from './workload.js';

export interface BenchOptions extends RoundOptions {
  /** Which peers run beside Chainrule: names, an empty list for all that are found, or none. */
  peers: readonly string[] | 'none';
  /** Only units whose name starts with this. */
  unit?: string | undefined;
  /** What the report says of machine and source. */
  host: object;
  git: string | null;
  print(line: string): void;
}

/** Runs workloads, prints a line for each contender and gives the report that `--json` writes. */
export async function runBench(
  chosen: readonly Workload[],
  options: BenchOptions,
): Promise<{ failed: boolean; report: object }> {
  const { threads, print } = options;
  native.configure({ threads });
  const { isa } = native.info();
  const floor = await native.measureFloor(threads);
  print(
    `${isa}, ${threads} threads: ${floor.gflops.toFixed(0)} GFLOP/s multiply-add peak, ${floor.streamGBs.toFixed(0)} GB/s memory, ${floor.cacheGBs.toFixed(0)} GB/s cache`,
  );
  const { found, missing } = options.peers === 'none' ? { found: [], missing: [] } : findPeers(threads, options.peers);
  for (const line of missing) print(line);
  const peers = found.map((program) => new Peer(program));
  const versions = Object.fromEntries(found.map(({ name, version }) => [name, version]));
  for (const [name, version] of Object.entries(versions)) print(`peer: ${name} ${version}`);
  const results: BenchResult[] = [];
  const notes: string[] = [];
  let failed = false;
  const note = (line: string) => {
    notes.push(line);
    print(line);
  };
  try {
    for (const workload of chosen) {
      for (const unit of workload.units) {
        if (options.unit !== undefined && !unit.name.startsWith(options.unit)) continue;
        if (unit.missing !== undefined) {
          note(`${workload.id} ${unit.name}: not run: ${unit.missing}`);
          continue;
        }
        let rounds: Rounds;
        try {
          rounds = await compare(workload, unit, peers, options);
        } catch (error) {
          // The rest of a long campaign is worth having; the exit code tells.
          failed = true;
          note(`${workload.id} ${unit.name}: failed: ${error instanceof Error ? error.stack : String(error)}`);
          continue;
        }
        for (const line of rounds.excluded) note(`${workload.id} ${unit.name}: left out: ${line}`);
        for (const { result, line } of resultsOf(workload, unit, rounds)) {
          results.push(result);
          print(line);
        }
      }
    }
  } finally {
    for (const peer of peers) peer.close();
  }
  const report = {
    schema: 'chainrule-bench/1',
    date: new Date().toISOString(),
    git: options.git,
    host: options.host,
    config: { threads, device: 'cpu', dtype: 'float32' },
    floor,
    peers: versions,
    results,
    notes,
  };
  return { failed, report };
}
