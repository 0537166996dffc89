import { expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import type { OpCase } from './case.js';
import { cases } from './cases.js';
import { expectForward } from './check.js';
import { cudaDevice } from './cuda_device.js';
import { bind, compileForward, drawInputs, nameOf } from './run.js';

// Every row of the table on the first CUDA device: a GPU, or with CHAINRULE_CUDA_EMULATE=1 the emulated grid.

setFloat32MatmulPrecision('highest');

/** Ops without a launch for GPUs: integer weights are for inference on the CPU, and what passes make for it. */
const cpuOnly = [
  'winogradFilter',
  'conv2dWinograd',
  'conv2dFilterWinograd',
  'matmulInt8',
  'conv2dInt8',
  'gatherInt8',
  'toInt8',
];

test.skipIf(!cudaDevice).each(cpuOnly)('%s is refused by its name', async (op) => {
  const row = cases.find((one) => one.op === op)!;
  const { program } = compileForward(row, cudaDevice);
  await expect(program.run(bind(row, drawInputs(row, 1))).promise).rejects.toThrow(op);
});

/** On a GPU bfloat16 is widened by a step of its own, as the CPU's passes don't let ops do it. */
const widens = ({ op, inputs }: OpCase): boolean => op !== 'cast' && inputs.some(({ dtype }) => dtype === 'bfloat16');

test.skipIf(!cudaDevice).each(cases.filter(widens).map((row) => [nameOf(row), row] as const))(
  '%s is refused',
  async (_name, row) => {
    const { program } = compileForward(row, cudaDevice);
    await expect(program.run(bind(row, drawInputs(row, 1))).promise).rejects.toThrow(/takes bfloat16 on the CPU only/);
  },
);

test
  .skipIf(!cudaDevice)
  .each(cases.filter((row) => !cpuOnly.includes(row.op) && !widens(row)).map((row) => [nameOf(row), row] as const))(
  '%s',
  (_name, row) => expectForward(row, cudaDevice),
);
