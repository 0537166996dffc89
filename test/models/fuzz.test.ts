import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ChainruleError, layers, loadModel, sequential } from '../../lib/index.js';
import { mutate } from './fuzz/mutations.js';
import { makeSeeds, type Seed } from './fuzz/seeds.js';

const folder = mkdtempSync(join(tmpdir(), 'chainrule-fuzz-'));
const first = Number(process.env.CHAINRULE_FUZZ_FIRST ?? 0);
const count = Number(process.env.CHAINRULE_FUZZ ?? (process.env.CHAINRULE_TEST_LONG ? 100_000 : 2000));
let seeds: Seed[];

beforeAll(async () => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  seeds = await makeSeeds(folder);
}, 60_000);
afterAll(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
});

const target = sequential([
  layers.dense({ units: 3, activation: 'relu', inputShape: [4] }),
  layers.batchNormalization(),
  layers.dense({ units: 2 }),
]);

async function open(path: string): Promise<void> {
  if (/\.(safetensors|weights\.h5)$/.test(path)) await target.loadWeights(path);
  else await loadModel(path);
}

const peak = (): number => process.resourceUsage().maxRSS * 1024;

test('the files as they are', async () => {
  for (const { name } of seeds) await open(join(folder, name));
});

test(`${count} changed files: a model or a ChainruleError, within 1 s, in 2 × the file + 64 MB`, async () => {
  let loaded = 0;
  const codes = new Map<string, number>();
  for (let number = first; number < first + count; number++) {
    const { name, content } = mutate(seeds, number);
    const path = join(folder, `x-${name}`);
    writeFileSync(path, content);
    const where = `CHAINRULE_FUZZ_FIRST=${number} CHAINRULE_FUZZ=1 repeats this (${name})`;
    const [started, before] = [performance.now(), peak()];
    try {
      await open(path);
      loaded++;
    } catch (error) {
      if (!(error instanceof ChainruleError)) throw new Error(`${where}: ${(error as Error).stack}`);
      if (error.code === 'ERR_CHAINRULE_INTERNAL') throw new Error(`${where}: ${error.message}`);
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    }
    // The peak of the process never falls, so its growth is what this one file caused at most.
    if (peak() - before > 2 * content.length + 64 * 2 ** 20) throw new Error(`${where}: ${peak() - before} more bytes`);
    const took = performance.now() - started;
    if (took > 1000) throw new Error(`${where}: it took ${took.toFixed(0)} ms`);
  }
  if (process.env.CHAINRULE_FUZZ) console.log(loaded, codes);
  expect(loaded).toBeLessThan(first + count);
  if (count >= 2000) {
    // Changes of both kinds happen: harmless ones, and those that are noticed.
    expect(loaded).toBeGreaterThan(count / 100);
    expect(codes.get('ERR_CHAINRULE_FORMAT')).toBeGreaterThan(count / 4);
  }
}, 3_600_000);
