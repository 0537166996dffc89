import { expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { cases } from './cases.js';
import { judge, magnitudesOf } from './compare.js';
import { cudaDevice } from './cuda_device.js';
import { bind, compileForward, drawInputs, nameOf, referenceOf } from './run.js';

// Every row of the table on the first CUDA device: a GPU, or with CHAINRULE_CUDA_EMULATE=1 the emulated grid.

setFloat32MatmulPrecision('highest');

test.skipIf(!cudaDevice).each(cases.map((row) => [nameOf(row), row] as const))('%s', async (_name, row) => {
  const { program } = compileForward(row, cudaDevice);
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
});
