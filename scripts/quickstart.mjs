// npm run quickstart: works as the first command in a fresh clone. Arguments after `--` go to the example.
import { existsSync } from 'node:fs';
import { prepare, run, runBin } from './prepare.mjs';

await prepare();
runBin('typescript/bin/tsc', ['-p', 'tsconfig.examples.json']);
const compiled = ['main.js', 'main.mjs']
  .map((name) => `build-examples/quickstart/${name}`)
  .find((file) => existsSync(file));
if (!compiled) throw new Error('examples/quickstart/main.ts is missing');
run(process.execPath, [compiled, ...process.argv.slice(2)]);
