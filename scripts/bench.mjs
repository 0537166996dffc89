// npm run bench: builds if need be, then runs `chainrule bench` with the given arguments.
import { prepare, run } from './prepare.mjs';

await prepare();
run(process.execPath, ['dist/cli/main.js', 'bench', ...process.argv.slice(2)]);
