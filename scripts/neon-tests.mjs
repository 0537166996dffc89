// npm run test:neon: the kernel tests for arm64 on any Linux machine, by a cross compiler and an emulator. Arguments
// go to the tests. Correctness only: an emulator's times say nothing.
import { spawnSync } from 'node:child_process';
import { run } from './prepare.mjs';

const compiler = 'aarch64-linux-gnu-g++';
const emulator = 'qemu-aarch64';
const absent = [compiler, emulator].filter((program) => spawnSync(program, ['--version']).status !== 0);

if (absent.length > 0) {
  console.log(
    `NEON kernel tests: skipped, ${absent.join(' and ')} not found (Debian: g++-aarch64-linux-gnu, qemu-user)`,
  );
} else {
  run('scripts/kernel-tests.sh', process.argv.slice(2), {
    CXX: compiler,
    LINK: '-static',
    RUN: emulator,
    OUT: 'build/kernels-neon',
    CHAINRULE_MATH_STRIDE: process.env.CHAINRULE_MATH_STRIDE ?? '99991',
  });
}
