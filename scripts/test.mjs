// npm test: works as the first command in a fresh clone. Arguments go to vitest: npm test -- test/ops
import { prepare, runBin } from './prepare.mjs';

await prepare();
runBin('vitest/vitest.mjs', ['run', ...process.argv.slice(2)]);
