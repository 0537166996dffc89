// npm run prebuild:cuda: the library of CUDA devices as the package @chainrule/cuda-linux-x64, in build-cmake/cuda-package.
// It is published by itself and installed explicitly: never a dependency of chainrule.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildVariant } from './build-cmake.mjs';
import { install } from './prepare.mjs';

install();
const folder = 'build-cmake/cuda-package';
const { version, license } = JSON.parse(readFileSync('package.json', 'utf8'));
mkdirSync(folder, { recursive: true });
const library = buildVariant('cuda');
if (!existsSync(join(dirname(library), 'kernels')))
  throw new Error('built without nvcc: a package without kernels helps nobody');
copyFileSync(library, `${folder}/chainrule_cuda.node`);
copyFileSync('LICENSE', `${folder}/LICENSE`);
writeFileSync(
  `${folder}/package.json`,
  `${JSON.stringify(
    {
      name: '@chainrule/cuda-linux-x64',
      version,
      description: 'CUDA devices for chainrule: needs the NVIDIA driver and nothing else',
      license,
      os: ['linux'],
      cpu: ['x64'],
      libc: ['glibc'],
      files: ['chainrule_cuda.node'],
    },
    null,
    2,
  )}\n`,
);
console.log(folder);
