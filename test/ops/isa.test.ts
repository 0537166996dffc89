import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { differing } from './digest.js';

// An instruction set is chosen when the addon is loaded, so each one is a process.

const root = join(__dirname, '../..');

function digestsOn(isa: string): { isa: string; digests: Record<string, string> } {
  const folder = mkdtempSync(join(tmpdir(), 'chainrule-isa-'));
  const file = join(folder, 'digests.json');
  const env = { ...process.env, CHAINRULE_ISA: isa, CHAINRULE_TEST_DIGESTS: file };
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/ops/digest.test.ts'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${isa}: ${stdout}${stderr}`);
  const result = JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof digestsOn>;
  rmSync(folder, { recursive: true });
  return result;
}

test('every instruction set gives the bits of the scalar one', { timeout: 300_000 }, () => {
  const [first, ...others] = native.info().isaAvailable.map(digestsOn);
  console.log(`compared: ${native.info().isaAvailable.join(', ')}`);
  for (const other of others) {
    expect(other.isa).not.toBe(first!.isa);
    expect(differing(first!.digests, other.digests), `${first!.isa} against ${other.isa}`).toEqual([]);
  }
});
