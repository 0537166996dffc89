// npm run build:cmake [-- VARIANT]: what node-gyp cannot build. Each variant has its own folder, build-cmake/VARIANT.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { install, run } from './prepare.mjs';

export const variants = {
  release: ['-DCMAKE_BUILD_TYPE=Release'],
  debug: ['-DCMAKE_BUILD_TYPE=Debug'],
  asan: ['-DCMAKE_BUILD_TYPE=Debug', '-DCHAINRULE_SANITIZE=address,undefined'],
  tsan: ['-DCMAKE_BUILD_TYPE=Debug', '-DCHAINRULE_SANITIZE=thread'],
};

/** Builds a variant and returns the path of its addon. */
export function buildVariant(name) {
  const options = variants[name];
  if (!options) throw new Error(`unknown variant "${name}"; there are: ${Object.keys(variants).join(', ')}`);
  const folder = `build-cmake/${name}`;
  run('cmake', ['-S', '.', '-B', folder, `-DNODE_EXECUTABLE=${process.execPath}`, ...options]);
  run('cmake', ['--build', folder, '--parallel', process.env.JOBS ?? String(Math.min(availableParallelism(), 8))]);
  return `${folder}/chainrule.node`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  install();
  console.log(buildVariant(process.argv[2] ?? 'release'));
}
