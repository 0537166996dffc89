// npm run build:cmake [-- VARIANT]: what node-gyp cannot build. Each variant has its own folder, build-cmake/VARIANT.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { install, runBin } from './prepare.mjs';

export const variants = {
  release: ['--config', 'Release'],
  debug: ['--config', 'Debug'],
  asan: ['--config', 'Debug', '--CDCHAINRULE_SANITIZE=address,undefined'],
  tsan: ['--config', 'Debug', '--CDCHAINRULE_SANITIZE=thread'],
};

/** Builds a variant and returns the path of its addon. */
export function buildVariant(name) {
  const options = variants[name];
  if (!options) throw new Error(`unknown variant "${name}"; there are: ${Object.keys(variants).join(', ')}`);
  const folder = `build-cmake/${name}`;
  const jobs = process.env.JOBS ?? String(Math.min(availableParallelism(), 8));
  const node = `--CDNODE_EXECUTABLE=${process.execPath}`;
  runBin('cmake-js/bin/cmake-js', ['compile', '--out', folder, '--parallel', jobs, node, ...options]);
  return `${folder}/chainrule.node`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  install();
  console.log(buildVariant(process.argv[2] ?? 'release'));
}
