// npm run prebuild: puts the addon for this system into prebuilds/, as it is shipped, and checks that it can be.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { checkAbi } from './check-abi.mjs';
import { buildAddon, buildDist, install } from './prepare.mjs';

install();
await buildAddon();
await buildDist();

const { familySync } = await import('detect-libc');
const libc = process.platform === 'linux' ? `.${familySync()}` : '';
const folder = `prebuilds/${process.platform}-${process.arch}`;
const addon = `${folder}/chainrule${libc}.node`;
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
copyFileSync('build/Release/chainrule.node', addon);

if (process.platform === 'linux') {
  execFileSync('strip', ['--strip-unneeded', addon]);
  // Slim images lack libgomp. The addon's rpath is $ORIGIN, so a copy beside it is found first. A real file, not a link.
  const library = execFileSync(process.env.CXX ?? 'g++', ['-print-file-name=libgomp.so.1'], {
    encoding: 'utf8',
  }).trim();
  if (!existsSync(library)) throw new Error('libgomp.so.1 was not found beside the compiler');
  copyFileSync(realpathSync(library), `${folder}/libgomp.so.1`);
  checkAbi(addon, `${folder}/libgomp.so.1`);
}
console.log(addon);
