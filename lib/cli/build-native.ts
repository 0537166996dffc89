import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { prebuildPath } from '../native-loader.js';

const root = join(__dirname, '..', '..');

/** `chainrule build-native`: compiles the addon with CMake and puts it where the loader looks. Never runs by itself. */
export function command(args: string[]): number {
  parseArgs({ args, options: {} });
  const missing = missingTools();
  if (missing.length > 0) {
    console.error(['chainrule build-native needs:', ...missing.map((line) => `  ${line}`)].join('\n'));
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'chainrule-build-'));
  try {
    const configure = ['-S', root, '-B', folder, `-DNODE_EXECUTABLE=${process.execPath}`, '-DCMAKE_BUILD_TYPE=Release'];
    if (!succeeds('cmake', configure) || !succeeds('cmake', ['--build', folder, '--config', 'Release', '--parallel'])) {
      return 1;
    }
    mkdirSync(dirname(prebuildPath), { recursive: true });
    copyFileSync(join(folder, 'chainrule.node'), prebuildPath);
    console.log(`Built ${prebuildPath}`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is missing, each with the way to get it. */
function missingTools(): string[] {
  const musl = existsSync('/etc/alpine-release');
  const install = musl ? 'apk add build-base cmake' : 'Debian, Ubuntu: apt-get install g++ cmake make';
  const missing: string[] = [];
  if (!runs('cmake')) missing.push(`cmake 3.21 or newer (${install})`);
  if (![process.env.CXX, 'c++', 'g++', 'clang++'].some((name) => name && runs(name))) {
    missing.push(`a C++20 compiler: GCC 11, Clang 14 or newer (${install})`);
  }
  const require = createRequire(join(root, 'package.json'));
  for (const name of ['node-addon-api', 'node-api-headers']) {
    try {
      require.resolve(`${name}/package.json`);
    } catch {
      missing.push(`the npm package ${name} (npm install --save-dev ${name})`);
    }
  }
  return missing;
}

function runs(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

function succeeds(program: string, args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'inherit' }).status === 0;
}
