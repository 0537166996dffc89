import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

// The C++ tests of the kernels, linked with the object files of the addon that was built: naive loops as oracles, the
// same bits on every instruction set of this CPU and of the emulated AVX-512, elementary functions on a dense grid.

const root = join(__dirname, '../..');
const objects = 'build/Release/obj.target/chainrule';
const built = existsSync(join(root, objects, 'native/cpu/isa')) && !process.env.CHAINRULE_BINARY;

test('the kernels pass their own tests', { timeout: 900_000 }, (context) => {
  context.skip(!built, `no object files of node-gyp's build in ${objects}, or another addon is tested`);
  const env = { ...process.env, OBJECTS: objects, OUT: 'build/kernels-linked' };
  const { status, stdout, stderr } = spawnSync('scripts/kernel-tests.sh', [], { cwd: root, env, encoding: 'utf8' });
  console.log(stdout);
  expect(status, stderr + stdout).toBe(0);
  expect(stdout).toMatch(/\n[1-9]\d* kernel cases, 0 failures/);
});
