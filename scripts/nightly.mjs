// npm run nightly: what is too long for every change. Each part is a command of its own; the first failure ends the night.
import { prepare, run } from './prepare.mjs';

const everything = ['test/tiny.test.ts', 'test/ops', 'test/ir', 'test/passes', 'test/runtime', 'test/layers'];

await prepare();
run(process.execPath, ['scripts/test.mjs'], { CHAINRULE_TEST_CMAKE: '1', CHAINRULE_TEST_LONG: '1' });
// Elementary functions on all 2^32 arguments instead of a grid, and the kernels of a processor that is not here.
for (const name of ['mathExp', 'mathLog', 'mathTanh', 'mathSigmoid', 'mathErf']) {
  run('scripts/kernel-tests.sh', [name], { CHAINRULE_MATH_STRIDE: '1' });
}
run(process.execPath, ['scripts/neon-tests.mjs']);
// The other build system's addon must pass the same tests.
run(process.execPath, ['scripts/test.mjs'], {
  CHAINRULE_BINARY: `${process.cwd()}/build-cmake/release/chainrule.node`,
});
run(process.execPath, ['scripts/sanitize.mjs', 'asan', ...everything]);
run(process.execPath, [
  'scripts/sanitize.mjs',
  'tsan',
  'test/tiny.test.ts',
  'test/runtime',
  'test/ops/threads.test.ts',
]);
