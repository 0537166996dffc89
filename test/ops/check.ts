import { expect } from 'vitest';
import { type OpCase, randomFrom, seedOf } from './case.js';
import { checkGradients, judge, magnitudesOf } from './compare.js';
import {
  arrayOf,
  batchOf,
  bind,
  compileForward,
  compileGradient,
  drawCotangent,
  drawInputs,
  nameOf,
  referenceOf,
} from './run.js';

// What a row of the table demands of a device.

/** The op against its float64 reference, at every batch size. */
export async function expectForward(row: OpCase, device = 'cpu'): Promise<void> {
  const { program, dtype } = compileForward(row, device);
  expect(dtype).toBe(row.output ?? 'float32');
  const problems: string[] = [];
  for (const n of row.rows ?? [1]) {
    const inputs = drawInputs(row, n);
    const want = referenceOf(row, inputs, n);
    const [got] = await program.run(bind(row, inputs)).promise;
    expect([...got!.shape], `shape for N = ${n}`).toEqual(want.shape);
    const magnitudes =
      typeof row.exactness === 'object' && 'terms' in row.exactness ? magnitudesOf(row, inputs, n) : undefined;
    const verdict = judge(got!.data, want.data, row.exactness, magnitudes);
    if (verdict.worst >= 0) problems.push(`N = ${n}: ${verdict.message}`);
  }
  expect(problems.join('\n')).toBe('');
}

/** Gradients for a random cotangent, with what checkGradients needs to judge them. */
export async function gradientsOf(row: OpCase, n: number, device = 'cpu') {
  const inputs = drawInputs(row, n);
  const out = referenceOf(row, inputs, n);
  const cotangent = drawCotangent(row, out.shape, n);
  const { program } = compileGradient(row, n, device);
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

/** The gradients against central differences of the reference. */
export async function expectGradients(row: OpCase, device = 'cpu'): Promise<void> {
  const seen = await gradientsOf(row, batchOf(row), device);
  expect(seen.gradients).toHaveLength(row.wrt!.length);
  expect(checkGradients(seen).join('\n')).toBe('');
}
