import { describe, expect, test } from 'vitest';
import { randomFrom, seedOf } from './case.js';
import { cases } from './cases.js';
import { checkGradients } from './compare.js';
import { arrayOf, batchOf, bind, compileGradient, drawCotangent, drawInputs, nameOf, referenceOf } from './run.js';

// The engine's gradients against central differences of the reference in float64, with a random cotangent.

const rows = cases.filter(({ wrt }) => wrt?.length);

async function gradientsOf(row: (typeof rows)[number], n: number) {
  const inputs = drawInputs(row, n);
  const out = referenceOf(row, inputs, n);
  const cotangent = drawCotangent(row, out.shape, n);
  const { program } = compileGradient(row, n);
  const seed = { data: arrayOf('float32', cotangent.data), shape: cotangent.shape };
  const results = await program.run([...bind(row, inputs), seed]).promise;
  return {
    row,
    n,
    inputs,
    cotangent,
    gradients: results.map(({ data }) => data),
    random: randomFrom(seedOf(nameOf(row))),
  };
}

test.each(rows.map((row) => [nameOf(row), row] as const))('%s', async (_name, row) => {
  const seen = await gradientsOf(row, batchOf(row));
  expect(seen.gradients).toHaveLength(row.wrt!.length);
  expect(checkGradients(seen).join('\n')).toBe('');
});

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
