// npm run test:cuda: builds the library of CUDA devices, looks at what the assembler said of the kernels, and runs the op
// table and the models' tests on the first GPU, or where there is none on the emulated grid. Arguments go to the tests.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { buildVariant } from './build-cmake.mjs';
import { prepare, runBin } from './prepare.mjs';

await prepare();
const library = resolve(buildVariant('cuda'));
process.env.CHAINRULE_CUDA_BINARY = library;
const spills = spillingKernels(join(dirname(library), 'kernels'));
if (spills.length > 0) {
  console.error(`Kernels that spill registers:\n${spills.map((line) => `  ${line}`).join('\n')}`);
  process.exit(1);
}
const require = createRequire(import.meta.url);
require('../dist/devices.js');
const { devices, reason } = require('../dist/native.js').native.devicesSync();
console.log(devices.length > 0 ? `On ${devices[0].name}.` : `On the emulated grid: ${reason}.`);
const tests = process.argv.slice(2);
runBin('vitest/vitest.mjs', ['run', ...(tests.length > 0 ? tests : ['test/ops/cuda', 'test/runtime/device'])], {
  ...(devices.length > 0 ? {} : { CHAINRULE_CUDA_EMULATE: '1' }),
});

/**
 * Kernels whose values do not fit the registers, from ptxas -v. Up to 64 bytes are addresses that wait outside the loops: on sm_80,
 * four tiles of products have 40 to 56; on sm_90a none has more than 4.
 */
function spillingKernels(folder) {
  if (!existsSync(folder)) return [];
  const lines = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
    let kernel = '';
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      kernel = /Compiling entry function '(\w+)' for '(\w+)'/.exec(line)?.slice(1).join(' on ') ?? kernel;
      const bytes = Number(/(\d+) bytes spill stores/.exec(line)?.[1] ?? 0);
      if (bytes > 64) lines.push(`${kernel}: ${bytes} bytes`);
    }
  }
  return lines;
}
