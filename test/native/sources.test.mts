import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hashSources, listSources } from '../../scripts/sources.mjs';

// One list of sources, two build systems: the hash of the list is compiled into each addon.
const root = join(import.meta.dirname, '../..');

function sourcesOf(addon: string): string {
  const script = 'console.log(require(process.argv[1]).info().sources)';
  return execFileSync(process.execPath, ['-e', script, join(root, addon)], { encoding: 'utf8' }).trim();
}

test('the list holds every folder but CUDA, sorted', () => {
  expect(listSources()).toContain('native/node/addon.cpp');
  expect(listSources()).toEqual([...listSources()].sort());
  expect(listSources().filter((file) => file.startsWith('native/cuda/'))).toEqual([]);
});

test.skipIf(!existsSync(join(root, 'build/Release/chainrule.node')))('node-gyp compiles the list', () => {
  expect(sourcesOf('build/Release/chainrule.node')).toBe(hashSources());
});

// Compiles everything a second time, so only where asked for: CHAINRULE_TEST_CMAKE=1, as `npm run nightly` does.
describe.skipIf(!process.env.CHAINRULE_TEST_CMAKE)('CMake', () => {
  test('compiles the same list with the same flags for numbers', { timeout: 900_000 }, () => {
    execFileSync(process.execPath, ['scripts/build-cmake.mjs', 'release'], { cwd: root, stdio: 'pipe' });
    expect(sourcesOf('build-cmake/release/chainrule.node')).toBe(hashSources());
    const cmake = readFileSync(join(root, 'CMakeLists.txt'), 'utf8');
    const gyp = readFileSync(join(root, 'binding.gyp'), 'utf8');
    for (const flag of ['-ffp-contract=off', '-fno-math-errno']) {
      expect(cmake).toContain(flag);
      expect(gyp).toContain(flag);
    }
    expect(cmake + gyp).not.toMatch(/fast-math|march=/);
  });
});
