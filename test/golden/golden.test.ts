import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

interface Entry {
  area: string;
  name: string;
}
interface Runner {
  listCases(directory: string): Entry[];
  runCase(directory: string, entry: Entry): Promise<Error | undefined>;
}

const directory = resolve('../shared/golden');
const available = existsSync(resolve(directory, 'index.json'));

/** The cases that real Keras wrote; here those that can run must pass, the command also names what is skipped. */
test.skipIf(!available)(
  'golden cases agree with Keras',
  async () => {
    const { listCases, runCase } = (await import(resolve('scripts/golden.mjs'))) as Runner;
    const failures: string[] = [];
    let passed = 0;
    for (const entry of listCases(directory)) {
      const result = await runCase(directory, entry);
      if (result === undefined) passed++;
      else if (result.constructor.name !== 'Skip') failures.push(`${entry.area}/${entry.name}: ${result.message}`);
    }
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(400);
  },
  120_000,
);
