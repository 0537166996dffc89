// npm run test:cuda: builds the library of CUDA devices, looks at what the assembler said of the kernels, and runs the op
// table and the models' tests on the first GPU, or where there is none on the emulated grid. Arguments go to the tests.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { buildVariant } from './build-cmake.mjs';
import { prepare, runBin } from './prepare.mjs';

await prepare();
const library = resolve(buildVariant('cuda'));
process.env.CHAINRULE_CUDA_BINARY = library;
const spills = spillingKernels(join(dirname(library), 'kernels'));
if (spills.length > 0) {
  console.error(`Kernels that keep values in memory:\n${spills.map((line) => `  ${line}`).join('\n')}`);
  process.exit(1);
}
let found = lookForDevices();
if (found.devices.length === 0) {
  console.log(`On the emulated grid: ${found.reason}.`);
  process.env.CHAINRULE_CUDA_EMULATE = '1';
  found = lookForDevices();
  // Without a device the tests would skip: a library that is not accepted must not pass for one that works.
  if (found.devices.length === 0) throw new Error(found.reason);
}
console.log(`On ${found.devices[0].name}.`);
// An emulated kernel runs on one thread, so that one file of tests a core is right; vitest's default is one core less.
const emulated = Boolean(process.env.CHAINRULE_CUDA_EMULATE);
const tests = process.argv.slice(2);
runBin('vitest/vitest.mjs', [
  'run',
  ...(emulated && !tests.some((test) => test.startsWith('--maxWorkers'))
    ? ['--maxWorkers', String(availableParallelism())]
    : []),
  ...(tests.length > 0
    ? tests
    : [
        'test/ops/cuda',
        'test/runtime/device',
        'test/runtime/driver',
        'test/runtime/faults',
        'test/runtime/cuda',
        'test/runtime/several_devices',
        'test/models/remat',
        'test/passes/halves',
        'test/passes/layer_norms',
        'test/bench/gpu',
      ]),
]);

/** In a process of its own: a process looks once. */
function lookForDevices() {
  const script = "require('./dist/devices.js').listDevices().then((list) => console.log(JSON.stringify(list)))";
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
}

/**
 * Kernels whose values do not fit the registers, or that keep some in memory to index them or because a lambda was not inlined,
 * from ptxas -v. Up to 64 bytes are addresses that wait outside the loops (on sm_80, tiles of products have 40 to 56) and the
 * arguments of huge angles (32).
 */
function spillingKernels(folder) {
  if (!existsSync(folder)) return [];
  const lines = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
    let kernel = '';
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      kernel = /Compiling entry function '(\w+)' for '(\w+)'/.exec(line)?.slice(1).join(' on ') ?? kernel;
      const found = /(\d+) bytes stack frame, (\d+) bytes spill stores/.exec(line)?.slice(1).map(Number) ?? [0];
      const bytes = Math.max(...found);
      if (bytes > 64) lines.push(`${kernel}: ${bytes} bytes`);
    }
  }
  return lines;
}
