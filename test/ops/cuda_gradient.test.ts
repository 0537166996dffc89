import { expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { randomFrom, seedOf } from './case.js';
import { cases } from './cases.js';
import { checkGradients } from './compare.js';
import { cudaDevice } from './cuda_device.js';
import { arrayOf, batchOf, bind, compileGradient, drawCotangent, drawInputs, nameOf, referenceOf } from './run.js';

// Gradients of every row on the first CUDA device, against central differences of the reference.

setFloat32MatmulPrecision('highest');

const rows = cases.filter(({ wrt }) => wrt?.length);

test.skipIf(!cudaDevice).each(rows.map((row) => [nameOf(row), row] as const))('%s', async (_name, row) => {
  const n = batchOf(row);
  const inputs = drawInputs(row, n);
  const out = referenceOf(row, inputs, n);
  const cotangent = drawCotangent(row, out.shape, n);
  const { program } = compileGradient(row, n, cudaDevice);
  const seed = { data: arrayOf('float32', cotangent.data), shape: cotangent.shape };
  const results = await program.run([...bind(row, inputs), seed]).promise;
  const gradients = results.map(({ data }) => data);
  const random = randomFrom(seedOf(nameOf(row)));
  expect(checkGradients({ row, n, inputs, cotangent, gradients, random }).join('\n')).toBe('');
});
