import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cpuQuota } from '../../lib/cli/system.js';

const main = join(__dirname, '../../dist/cli/main.js');

function chainrule(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
}

test('info names the addon and why it was chosen, for people and for programs', () => {
  expect(chainrule('info').stdout).toMatch(/^addon\.reason +\S/m);
  const facts = JSON.parse(chainrule('info', '--json').stdout) as { version: string; addon: object; system: object };
  expect(facts).toMatchObject({ addon: { path: /./, reason: /./ }, system: { node: process.version } });
});

test('doctor finds nothing wrong where the tests run', () => {
  const { status, stdout } = chainrule('doctor', '--json');
  expect(status).toBe(0);
  const checks = JSON.parse(stdout) as { name: string; status: string }[];
  expect(checks.filter((check) => check.status === 'fault')).toEqual([]);
});

test('a wrong command or option is usage, exit code 2', () => {
  expect(chainrule('inof')).toMatchObject({ status: 2 });
  expect(chainrule('inof').stderr).toContain('did you mean "info"?');
  expect(chainrule('info', '--jsn')).toMatchObject({ status: 2 });
});

test('reads a quota as cgroup v2 writes it', () => {
  expect(cpuQuota('max 100000')).toBeNull();
  expect(cpuQuota('150000 100000')).toBe(1.5);
  expect(cpuQuota('')).toBeNull();
});
