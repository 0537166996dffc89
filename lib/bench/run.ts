import { native } from '../native.js';
import { gpuLine, measureGpuFloors, openGpu } from './gpu.js';
import { Peer } from './peers.js';
import { findPeers } from './programs.js';
import { type BenchResult, resultsOf } from './results.js';
import { compare, type Floor, type RoundOptions, type Rounds } from './rounds.js';
import type { Workload } from './workload.js';

export interface BenchOptions extends RoundOptions {
  /** 'cpu', or the GPU on which ours and the peers' run: 'cuda', 'cuda:1'. */
  device: string;
  /** Which peers run beside Chainrule: names, an empty list for all that are found, or none. */
  peers: readonly string[] | 'none';
  /** Only units whose name starts with this. */
  unit?: string | undefined;
  /** What the report says of machine and source. */
  host: object;
  git: string | null;
  print(line: string): void;
  /** Takes the report so far, behind each unit: a campaign may be cut off. */
  progress?(report: object): void;
}

/** Runs workloads, prints a line for each contender and gives the report that `--json` writes. */
export async function runBench(
  chosen: readonly Workload[],
  options: BenchOptions,
): Promise<{ failed: boolean; report: object }> {
  const { threads, print } = options;
  native.configure({ threads });
  const before = process.env.CHAINRULE_DEVICE;
  process.env.CHAINRULE_DEVICE = options.device;
  const gpu = options.device === 'cpu' ? undefined : await openGpu(options.device);
  const { found, missing } =
    options.peers === 'none' ? { found: [], missing: [] } : findPeers(threads, options.peers, gpu?.peerDevice);
  for (const line of missing) print(line);
  // Before peers start, which takes all cores.
  const cpuFloor = gpu ? undefined : await native.measureFloor(threads);
  const peers = found.map((program) => new Peer(program));
  const versions = Object.fromEntries(found.map(({ name, version }) => [name, version]));
  for (const [name, version] of Object.entries(versions)) print(`peer: ${name} ${version}`);
  const results: BenchResult[] = [];
  const notes: string[] = [];
  let failed = false;
  let floors: Record<string, Floor> = {};
  const report = () => ({
    schema: 'chainrule-bench/1',
    date: new Date().toISOString(),
    git: options.git,
    host: options.host,
    config: { threads, device: gpu?.info.id ?? 'cpu', dtype: 'float32', ...(gpu && { gpu: gpu.info, matmul: 'tf32' }) },
    floor: floors.torch ?? floors.chainrule,
    ...(gpu && { floors }),
    peers: versions,
    results,
    notes,
  });
  const note = (line: string) => {
    notes.push(line);
    print(line);
  };
  try {
    floors = gpu ? await measureGpuFloors(gpu, peers, note) : { chainrule: cpuFloor! };
    for (const [name, floor] of Object.entries(floors)) print(gpu ? gpuLine(name, floor) : cpuLine(threads, floor));
    const limits = gpu && { floor: floors.torch ?? floors.chainrule! };
    for (const workload of chosen) {
      for (const unit of workload.units) {
        if (options.unit !== undefined && !unit.name.startsWith(options.unit)) continue;
        if (unit.missing !== undefined) {
          note(`${workload.id} ${unit.name}: not run: ${unit.missing}`);
          continue;
        }
        let rounds: Rounds;
        try {
          rounds = await compare(workload, unit, peers, { ...options, ...limits });
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
        options.progress?.(report());
      }
    }
  } finally {
    for (const peer of peers) peer.close();
    if (before === undefined) delete process.env.CHAINRULE_DEVICE;
    else process.env.CHAINRULE_DEVICE = before;
  }
  return { failed, report: report() };
}

function cpuLine(threads: number, { gflops, streamGBs, cacheGBs }: Floor): string {
  const [peak, memory, cache] = [gflops, streamGBs, cacheGBs].map((value) => value.toFixed(0));
  return `${native.info().isa}, ${threads} threads: ${peak} GFLOP/s multiply-add peak, ${memory} GB/s memory, ${cache} GB/s cache`;
}
