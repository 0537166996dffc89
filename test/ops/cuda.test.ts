import { test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { cases } from './cases.js';
import { expectForward } from './check.js';
import { cudaDevice } from './cuda_device.js';
import { nameOf } from './run.js';

// Every row of the table on the first CUDA device: a GPU, or with CHAINRULE_CUDA_EMULATE=1 the emulated grid.

setFloat32MatmulPrecision('highest');

test.skipIf(!cudaDevice).each(cases.map((row) => [nameOf(row), row] as const))('%s', (_name, row) =>
  expectForward(row, cudaDevice),
);
