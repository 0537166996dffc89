import { expect, test } from 'vitest';
import { cases } from './cases.js';
import { expectForward } from './check.js';
import { bind, compileForward, drawInputs, nameOf, referenceOf } from './run.js';

// Every row of the table against its float64 reference, at every batch size.

test.each(cases.map((row) => [nameOf(row), row] as const))('%s', (_name, row) => expectForward(row));

test('rows with integer sums are not mostly zeros: an empty result would agree with anything', () => {
  for (const row of cases.filter(({ op }) => ['matmul', 'conv2d', 'reduceSum'].includes(op))) {
    const n = Math.max(...(row.rows ?? [1]));
    const { data } = referenceOf(row, drawInputs(row, n), n);
    if (data.length < 8 || row.about.startsWith('nothing')) continue;
    expect(data.filter((x) => x !== 0).length / data.length, nameOf(row)).toBeGreaterThan(0.3);
  }
});

test('the same program is used for a batch of any size', async () => {
  const row = cases.find(({ op }) => op === 'softmax')!;
  const { program } = compileForward(row);
  for (const n of [3, 5, 3, 5]) await program.run(bind(row, drawInputs(row, n))).promise;
  expect(program.counters().plans).toBe(2);
});
