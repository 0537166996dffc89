// npm run prebuild: puts the addon for this system into prebuilds/, as it is shipped, and checks that it can be.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkAbi } from './check-abi.mjs';
import { buildAddon, buildCodeCache, buildDist, install, root, runBin } from './prepare.mjs';

install();
await buildAddon();
await buildDist();
buildCodeCache();

const { familySync } = await import('detect-libc');
const isLinux = process.platform === 'linux';
const folder = `prebuilds/${process.platform}-${process.arch}`;
const stage = 'build/stage';
const artifacts = `${stage}/artifacts`;
for (const old of [folder, stage]) rmSync(old, { recursive: true, force: true });
mkdirSync(artifacts, { recursive: true });

if (isLinux) {
  // Slim images lack libgomp. The addon's rpath is $ORIGIN, so a copy beside it is found first. A real file, not a link.
  const [compiler, ...words] = (process.env.CXX ?? 'g++').split(' '); // as in CXX="ccache g++"
  const library = execFileSync(compiler, [...words, '-print-file-name=libgomp.so.1'], { encoding: 'utf8' }).trim();
  if (!existsSync(library)) throw new Error('libgomp.so.1 was not found beside the compiler');
  copyFileSync(realpathSync(library), `${artifacts}/libgomp.so.1`);
}

const name = ['--name', 'chainrule', ...(isLinux ? ['--tag-libc', familySync()] : [])];
const places = ['--cwd', stage, '--out', root, '--artifacts', artifacts];
const gyp = ['--node-gyp', join(root, 'scripts/stage-addon.mjs'), '--target', process.version];
runBin('prebuildify/bin.js', ['--napi', '--strip', ...name, ...places, ...gyp]);

const addon = `${folder}/chainrule${isLinux ? `.${familySync()}` : ''}.node`;
if (isLinux) checkAbi(addon, `${folder}/libgomp.so.1`);
console.log(addon);
