import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { families } from '../../lib/bench/cliffs/families.js';
import { behindNeighbours } from '../../lib/bench/cliffs/find.js';
import { timePoint } from '../../lib/bench/cliffs/point.js';
import { latencies, summarise, timeBlock } from '../../lib/bench/measure.js';
import { Peer } from '../../lib/bench/peers.js';
import { floorSeconds, resultsOf } from '../../lib/bench/results.js';
import { compare } from '../../lib/bench/rounds.js';
import { callContender, type Unit, type Workload } from '../../lib/bench/workload.js';
import { workloads } from '../../lib/bench/workloads/index.js';
import { command } from '../../lib/cli/bench.js';

const folder = mkdtempSync(join(tmpdir(), 'chainrule-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A peer in JavaScript that answers as told, by the kind of request. */
function peerThatSays(name: string, answers: Record<string, object>): Peer {
  const file = join(folder, `${name}.cjs`);
  writeFileSync(
    file,
    `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      console.log('a line that is no answer');
      console.log(JSON.stringify(${JSON.stringify(answers)}[JSON.parse(line).do]));
    });`,
  );
  return new Peer({ name, version: '1', command: process.execPath, args: [file] });
}

const unit: Unit = {
  name: 'tr',
  what: 'nothing',
  flop: 1e6,
  contender: () => callContender(async () => ({ call: () => undefined, loss: 0.5 })),
};
const workload: Workload = { id: 'W0', name: 'test', units: [unit] };
const options = { threads: 1, blocks: 4, blockSeconds: 0.001 };

test('median, spread and interval of samples', () => {
  const found = summarise([5, 1, 3, 2, 4]);
  expect(found).toMatchObject({ median: 3, min: 1, p10: 1, p90: 5, mad: 1, n: 5 });
  expect(found.ci95[0]).toBeLessThanOrEqual(3);
  expect(found.ci95[1]).toBeGreaterThanOrEqual(3);
});

test('a block counts all calls, also those between two looks at the clock', async () => {
  let calls = 0;
  const seconds = await timeBlock(() => {
    calls++;
  }, 0.02);
  expect(seconds * calls).toBeGreaterThanOrEqual(0.02);
  expect(seconds * calls).toBeLessThan(1);
  const { p50, p99 } = latencies(() => {}, 1000);
  expect(p50).toBeGreaterThan(0);
  expect(p99).toBeGreaterThanOrEqual(p50);
});

test('the floor is arithmetic or bytes, whichever takes longer', () => {
  const floor = { gflops: 100, streamGBs: 10, cacheGBs: 50 };
  expect(floorSeconds({ ...unit, flop: 1e9 }, floor)).toBeCloseTo(0.01, 12);
  expect(floorSeconds({ ...unit, flop: 1e9, bytes: 1e9 }, floor)).toBeCloseTo(0.1, 12);
  expect(floorSeconds({ ...unit, flop: 1e9, bytes: 1e9, from: 'cache' }, floor)).toBeCloseTo(0.02, 12);
});

test('peers of another loss, and those that fail, are left out by name', async () => {
  const prepared = { variants: { variants: ['eager'] }, block: { seconds: 2e-3 } };
  const peers = [
    peerThatSays('same', { ...prepared, prepare: { loss: 0.5004 } }),
    peerThatSays('other', { ...prepared, prepare: { loss: 0.52 } }),
    peerThatSays('broken', { ...prepared, prepare: { error: 'no memory' } }),
  ];
  const rounds = await compare(workload, unit, peers, options);
  for (const peer of peers) peer.close();
  expect([...rounds.samples.keys()]).toEqual(['chainrule', 'same eager']);
  expect(rounds.samples.get('same eager')).toEqual([2e-3, 2e-3, 2e-3, 2e-3]);
  expect(rounds.excluded).toHaveLength(2);
  expect(rounds.excluded[0]).toMatch(/^other eager: loss 0.52 after ten steps, ours is 0.5/);
  expect(rounds.excluded[1]).toMatch(/^broken eager: no memory/);
  const [ours, same] = resultsOf(workload, unit, rounds);
  expect(ours!.result.ratio).toBeUndefined();
  expect((same!.result.ratio!.median * ours!.result.median) / 2e6).toBeCloseTo(1, 5); // printed digits: 7
  expect(same!.result).toMatchObject({ name: 'W0 tr same eager', unit: 'ns', median: 2e6, flops: 1e6 });
});

test('a point is a cliff where its neighbours use the machine at least twice as well', () => {
  expect(behindNeighbours([10, 10, 4, 10, 10], 2)).toBeCloseTo(2.5, 12);
  // A slope is none: what comes before is slower still.
  expect(behindNeighbours([1, 2, 4, 8, 16], 2)).toBeCloseTo(1, 12);
  // Two that are slow side by side, or at the end.
  expect(behindNeighbours([10, 10, 3, 3, 10], 3)).toBeCloseTo(10 / 3, 12);
  expect(behindNeighbours([2, 10, 10], 0)).toBeCloseTo(5, 12);
});

test('a point of a family is timed forward and backward', async () => {
  const floor = { gflops: 100, streamGBs: 10, cacheGBs: 50 };
  for (const family of families.filter(({ name }) => /^(dense, square|embedding|softmax)/.test(name))) {
    for (const direction of ['forward', 'gradient'] as const) {
      const timing = await timePoint(family, { ...family.points[2]!, rows: 10 }, direction, floor);
      expect(timing.seconds).toBeGreaterThan(0);
      expect(timing.share).toBeGreaterThan(0);
      expect(timing.slowest).toMatch(/^\d+ % [a-z]/);
    }
  }
  expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
});

test('every workload has units with a name of their own', () => {
  expect(new Set(workloads.map(({ id }) => id)).size).toBe(workloads.length);
  for (const { units } of workloads) {
    expect(units.length).toBeGreaterThan(0);
    expect(new Set(units.map(({ name }) => name)).size).toBe(units.length);
  }
});

test.each([
  [['--cliffs', '--family', 'nothing'], /no family nothing\. There are .*conv2d/],
  [['--cliffs', '--threads', 'two'], /--threads must be a whole number of 1 or more, got "two"/],
  [['--cliffs', '--threads', '0'], /--threads must be/],
  [['--threads', '1.5'], /--threads must be/],
  [['--family', 'conv2d'], /--family is an option of --cliffs/],
  [['--workload', 'W99'], /no workload W99\. There are W1/],
  [['--peer', 'nobody'], /no peer nobody\. There are torch/],
  [['--device', 'tpu'], /--device must be cpu, cuda or cuda:1, got "tpu"/],
  [['--device', 'cuda', '--workload', 'W1'], /no workload W1\. There are G1/],
  [['--blocks', '0'], /--blocks must be a whole number of 1 or more, got "0"/],
  [['--seconds', 'soon'], /--seconds must be a number above 0, got "soon"/],
])('%j is answered by what is wrong, exit code 2', async (args, message) => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => {});
  try {
    expect(await command(args)).toBe(2);
    expect(error.mock.calls.flat().join()).toMatch(message);
  } finally {
    error.mockRestore();
  }
});
