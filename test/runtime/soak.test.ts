import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { packageFile } from './models.js';

// Loops after which memory must stand where it stood, without --expose-gc: RSS is read from outside V8's view. Full length by
// CHAINRULE_TEST_LONG=1 (npm run nightly).

const isLong = process.env.CHAINRULE_TEST_LONG === '1';
const mebibyte = 1024 * 1024;

/** Runs `body` n times after a warm-up and returns the RSS of each quarter in MiB. */
function growth(setup: string, body: string, n: number): number[] {
  const script = `
    const c = require(${JSON.stringify(packageFile)});
    const tabular = () => {
      const model = c.sequential([c.layers.dense({ units: 32, activation: 'relu', inputShape: [20] }), c.layers.dense({ units: 1 })]);
      model.compile({ optimizer: 'adam', loss: 'mse' });
      return model;
    };
    const words = ['one two', 'three', 'two two three', 'four'];
    const text = () => {
      const model = c.sequential([
        c.input({ shape: [1], dtype: 'string' }),
        c.layers.textVectorization({ vocabulary: ['one', 'two', 'three'], outputSequenceLength: 8 }),
        c.layers.embedding({ inputDim: 5, outputDim: 8, maskZero: true }),
        c.layers.lstm({ units: 8 }),
        c.layers.dense({ units: 1, activation: 'sigmoid' }),
      ]);
      model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
      return model;
    };
    const x = new c.NDArray(new Float32Array(64 * 20).fill(0.5), [64, 20]);
    const y = new c.NDArray(new Float32Array(64), [64]);
    (async () => {
      ${setup}
      const rss = [];
      for (let i = 0; i < ${n}; ++i) {
        ${body}
        if (i % ${Math.ceil(n / 4)} === ${Math.ceil(n / 4) - 1}) rss.push(process.memoryUsage.rss());
      }
      console.log(JSON.stringify(rss));
    })().catch((error) => { console.error(error); process.exit(1); });`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return (JSON.parse(stdout.trim()) as number[]).map((bytes) => bytes / mebibyte);
}

// Freed memory stays in a sanitizer's quarantine, so RSS tells nothing there.
const { CHAINRULE_SANITIZER: sanitizer } = process.env;
if (sanitizer) console.log(`test/runtime/soak skipped: RSS means nothing under ${sanitizer}`);

test.skipIf(sanitizer).each([
  {
    name: 'predictSync',
    n: 100_000,
    setup:
      'const model = tabular(); const row = new Float32Array(20); const out = new Float32Array(1); model.predictSync(row, out);',
    body: 'model.predictSync(row, out);',
    // A byte a call would be a leak; what V8 keeps of a hundred thousand short calls is not.
    allowed: 4,
  },
  {
    name: 'fit',
    n: isLong ? 200 : 100,
    setup: 'const model = tabular();',
    body: 'await model.fit(x, y, { epochs: 1, verbose: 0 });',
    allowed: 6,
  },
  {
    name: 'create, fit, drop',
    n: isLong ? 1000 : 200,
    setup: '',
    body: 'await tabular().fit(x, y, { epochs: 1, verbose: 0 });',
    // The heap may grow until V8 collects; models left lying would take far more (about 60 KB each natively, more in arenas).
    allowed: isLong ? 40 : 24,
  },
  {
    name: 'predict of a text model',
    n: isLong ? 60_000 : 4000,
    setup: 'const model = text(); await model.predict(words);',
    body: 'await model.predict(words);',
    // Promises fill V8's young generation, which grows for some ten thousand calls and then stands.
    allowed: 24,
  },
  {
    name: 'create, fit, drop of a text model',
    n: isLong ? 1000 : 120,
    setup: '',
    body: 'await text().fit(words, [0, 1, 0, 1], { epochs: 1, verbose: 0 });',
    allowed: isLong ? 40 : 24,
  },
])('RSS stays flat over $n times $name', { timeout: 300_000 }, ({ name, n, setup, body, allowed }) => {
  const rss = growth(setup, body, n);
  console.log(`${name}: RSS after each quarter ${rss.map((mib) => mib.toFixed(1)).join(', ')} MiB`);
  // From the end of the second quarter on: pools, JIT code and the first collections are behind.
  expect(rss.at(-1)! - rss[1]!, `${rss}`).toBeLessThan(allowed);
});
