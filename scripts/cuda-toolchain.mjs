// Finds nvcc: named by CUDACXX, on the PATH, or NVIDIA's own packages from PyPI in a git-ignored environment, which
// `--install` makes. Prints its path, or nothing where there is none; then only the emulated device is built.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './prepare.mjs';

const folder = join(root, '.venv-cuda');
const version = '13.0';
const packages = ['nvcc', 'crt', 'runtime', 'cccl'].map((name) => `nvidia-cuda-${name}`).concat('nvidia-nvvm');

function installed() {
  const libraries = join(folder, 'lib');
  if (!existsSync(libraries)) return '';
  const paths = readdirSync(libraries).map((python) => join(libraries, python, 'site-packages/nvidia/cu13/bin/nvcc'));
  return paths.find((path) => existsSync(path)) ?? '';
}

function install() {
  const python = process.env.PYTHON ?? 'python3';
  execFileSync(python, ['-m', 'venv', folder], { stdio: 'inherit' });
  const wheels = packages.map((name) => `${name}==${version}.*`);
  execFileSync(join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', ...wheels], {
    stdio: 'inherit',
  });
  return installed();
}

/** The path of nvcc, or ''. */
export function findNvcc({ fetch = false } = {}) {
  if (process.env.CUDACXX !== undefined) return process.env.CUDACXX;
  const onPath = spawnSync('nvcc', ['--version'], { encoding: 'utf8' });
  if (onPath.status === 0) return 'nvcc';
  if (installed() || !fetch) return installed();
  try {
    return install();
  } catch (error) {
    console.log(`nvcc could not be fetched (${error.message.split('\n')[0]}); name one by CUDACXX`);
    return '';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(findNvcc({ fetch: process.argv.includes('--install') }));
}
