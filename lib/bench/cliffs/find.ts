import { native } from '../../native.js';
import { families } from './families.js';
import { type Direction, type Family, type Timing, timePoint } from './point.js';

/** Of half its neighbours' share of the floor or less: a size that somebody forgot. */
const CLIFF = 0.5;

export interface CliffOptions {
  threads: number;
  /** Only families whose name contains this. */
  family?: string | undefined;
  print(line: string): void;
}

/**
 * How many times slower a point is than its neighbours in a family: than the slower of the two, or than the middle of the
 * five around it, whichever is more.
 */
export function behindNeighbours(shares: readonly number[], at: number): number {
  const around = shares.slice(Math.max(0, at - 2), at + 3).sort((a, b) => a - b);
  const middle = around[around.length >> 1]!;
  const [before, after] = [shares[at - 1], shares[at + 1]];
  const neighbour = before === undefined || after === undefined ? 0 : Math.min(before, after);
  return Math.max(middle, neighbour) / shares[at]!;
}

/** Times all families and names the points that are a cliff; gives everything that was timed. */
export async function findCliffs({
  threads,
  family: wanted = '',
  print,
}: CliffOptions): Promise<{ cliffs: Timing[]; all: Timing[] }> {
  native.configure({ threads });
  const floor = await native.measureFloor(threads);
  print(
    `${native.info().isa}, ${threads} threads: ${floor.gflops.toFixed(0)} GFLOP/s, ${floor.cacheGBs.toFixed(0)} GB/s from the cache`,
  );
  const [cliffs, all]: [Timing[], Timing[]] = [[], []];
  for (const family of families.filter(({ name }) => name.includes(wanted))) {
    for (const direction of ['forward', ...(family.trains ? ['gradient'] : [])] as Direction[]) {
      const timings: Timing[] = [];
      for (const point of family.points) timings.push(await timePoint(family, point, direction, floor));
      all.push(...timings);
      cliffs.push(...report(family, direction, timings, print));
    }
  }
  return { cliffs, all };
}

function report(
  family: Family,
  direction: Direction,
  timings: readonly Timing[],
  print: (line: string) => void,
): Timing[] {
  print(`${family.name} (${direction})`);
  const shares = timings.map(({ share }) => share);
  return timings.filter((timing, at) => {
    const behind = behindNeighbours(shares, at);
    const cliff = behind >= 1 / CLIFF;
    const { label, seconds, flop, bytes, share, slowest } = timing;
    const columns = [
      `  ${label.padStart(5)}`,
      `${(seconds * 1e6).toFixed(1).padStart(9)} us`,
      `${(flop / seconds / 1e9).toFixed(1).padStart(7)} GFLOP/s`,
      `${(bytes / seconds / 1e9).toFixed(1).padStart(6)} GB/s`,
      `${(100 * share).toFixed(1).padStart(6)} % of the floor`,
    ];
    print(columns.join('') + (cliff ? `  CLIFF, ${behind.toFixed(1)} times behind its neighbours: ${slowest}` : ''));
    return cliff;
  });
}
