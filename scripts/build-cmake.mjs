// npm run build:cmake [-- VARIANT]: what node-gyp cannot build. Each variant has its own folder, build-cmake/VARIANT.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { findNvcc } from './cuda-toolchain.mjs';
import { install, run, runBin } from './prepare.mjs';

export const variants = {
  release: ['--config', 'Release'],
  debug: ['--config', 'Debug'],
  asan: ['--config', 'Debug', '--CDCHAINRULE_SANITIZE=address,undefined'],
  tsan: ['--config', 'Debug', '--CDCHAINRULE_SANITIZE=thread'],
  // The library of CUDA devices. Its kernels need nvcc: see cuda-toolchain.mjs.
  cuda: ['--config', 'Release', '--CDCHAINRULE_CUDA=ON', '--target', 'chainrule_cuda'],
};

/** Builds a variant and returns the path of its addon (cuda: of its library). */
export function buildVariant(name) {
  const options = variants[name];
  if (!options) throw new Error(`unknown variant "${name}"; there are: ${Object.keys(variants).join(', ')}`);
  const folder = `build-cmake/${name}`;
  const jobs = process.env.JOBS ?? String(Math.min(availableParallelism(), 8));
  const values = [`--CDNODE_EXECUTABLE=${process.execPath}`];
  if (name === 'cuda') {
    const nvcc = findNvcc({ fetch: true });
    if (!nvcc) console.log('no nvcc: the library will have the emulated device alone');
    values.push(`--CDCHAINRULE_NVCC=${nvcc}`);
  }
  // CMake writes it when it configures only, but a changed header changes it too.
  run(process.execPath, ['scripts/sources.mjs', '--hash', '--header', `${folder}/generated/build_info.h`]);
  runBin('cmake-js/bin/cmake-js', ['compile', '--out', folder, '--parallel', jobs, ...values, ...options]);
  return `${folder}/chainrule${name === 'cuda' ? '_cuda' : ''}.node`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  install();
  console.log(buildVariant(process.argv[2] ?? 'release'));
}
