// npm run build: the addon (node-gyp) and dist/ (tsc).
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { nodeGyp } from './node-gyp.mjs';

nodeGyp('configure', '--silent');
nodeGyp('build', '--silent');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], { stdio: 'inherit' });
process.exit(status ?? 1);
