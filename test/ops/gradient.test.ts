import { describe, expect, test } from 'vitest';
import { cases } from './cases.js';
import { expectGradients, gradientsOf } from './check.js';
import { checkGradients } from './compare.js';
import { batchOf, nameOf } from './run.js';

// The engine's gradients against central differences of the reference in float64, with a random cotangent.

const rows = cases.filter(({ wrt }) => wrt?.length);

test.each(rows.map((row) => [nameOf(row), row] as const))('%s', (_name, row) => expectGradients(row));

describe('the checker itself', () => {
  const samples = [
    'tanh',
    'softmax',
    'matmul',
    'conv2d',
    'reduceMean',
    'gather',
    'maxPool',
    'div',
    'slice',
    'logSoftmax',
  ];

  test.each(samples)('rejects a gradient of %s that is 0.1 %% too large', async (op) => {
    const row = rows.find((candidate) => candidate.op === op)!;
    const seen = await gradientsOf(row, batchOf(row));
    const planted = seen.gradients.map((data) => Array.from(data, (x) => x * 1.001));
    expect(checkGradients({ ...seen, gradients: planted })).not.toEqual([]);
  });

  test.each(samples)('rejects a gradient of %s with one element from elsewhere', async (op) => {
    const row = rows.find((candidate) => candidate.op === op)!;
    const seen = await gradientsOf(row, batchOf(row));
    const planted = seen.gradients.map((data) => Array.from(data));
    const first = planted[0]!;
    first[0] = first.find((x) => Math.abs(x - first[0]!) > 1e-3) ?? first[0]! + 1;
    expect(checkGradients({ ...seen, gradients: planted })).not.toEqual([]);
  });
});
