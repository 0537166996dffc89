// npm run sanitize [-- tsan] [-- FILES…]: the engine's tests under AddressSanitizer and UndefinedBehaviorSanitizer (or
// ThreadSanitizer). First a bug on purpose must be caught: silence means something only from a sanitizer that works.
import { execFileSync, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { buildVariant } from './build-cmake.mjs';
import { buildDist, install, runBin } from './prepare.mjs';

const args = process.argv.slice(2);
const variant = args[0] === 'tsan' || args[0] === 'asan' ? args.shift() : 'asan';
const tests = args.length > 0 ? args : ['test/tiny.test.ts', 'test/ops', 'test/runtime'];

const kinds = {
  asan: {
    library: 'libasan.so',
    planted: { 'heap-overflow': /heap-buffer-overflow/, 'signed-overflow': /signed integer overflow/ },
  },
  tsan: { library: 'libtsan.so', planted: { 'data-race': /data race/ } },
};
const { library, planted } = kinds[variant];

install();
await buildDist();
const environment = {
  CHAINRULE_SANITIZER: variant,
  CHAINRULE_BINARY: resolve(buildVariant(variant)),
  // The addon is loaded into a Node that was built without sanitizers, so their runtime has to be there before everything.
  LD_PRELOAD: execFileSync(process.env.CXX ?? 'g++', [`-print-file-name=${library}`], { encoding: 'utf8' }).trim(),
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=77', // V8 itself leaks at exit, by design
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:exitcode=77',
  TSAN_OPTIONS: 'exitcode=77:report_signal_unsafe=0:ignore_noninstrumented_modules=1',
};

for (const [bug, report] of Object.entries(planted)) {
  const script = 'require(process.env.CHAINRULE_BINARY).plantedBug(process.argv[1], 1)';
  const env = { ...process.env, ...environment, CHAINRULE_PLANT_BUG: '1' };
  const { status, stderr } = spawnSync(process.execPath, ['-e', script, bug], { env, encoding: 'utf8' });
  if (status === 0 || !report.test(stderr)) {
    console.error(
      `The planted ${bug} was NOT caught (exit code ${status}): the sanitizer does not work here.\n${stderr}`,
    );
    process.exit(1);
  }
  console.log(`The planted ${bug} is caught.`);
}
runBin('vitest/vitest.mjs', ['run', '--passWithNoTests', '--testTimeout=300000', ...tests], environment);
