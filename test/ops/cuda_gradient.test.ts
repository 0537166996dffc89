import { test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { cases } from './cases.js';
import { expectGradients } from './check.js';
import { cudaDevice } from './cuda_device.js';
import { nameOf } from './run.js';

// Gradients of every row on the first CUDA device, against central differences of the reference.

setFloat32MatmulPrecision('highest');

const rows = cases.filter(({ wrt }) => wrt?.length);

test.skipIf(!cudaDevice).each(rows.map((row) => [nameOf(row), row] as const))('%s', (_name, row) =>
  expectGradients(row, cudaDevice),
);
