import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(__dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/```(\w*)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
  language,
  text: text as string,
}));
const code = blocks.find(({ language }) => language === 'ts')?.text ?? '';
const output = blocks.find(({ language }) => language === '')?.text ?? '';

test("the README's program is the example, line for line", () => {
  const example = readFileSync(join(root, 'examples/readme/main.ts'), 'utf8');
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !/^(async function main|main\(\);|}$)/.test(line));
  expect(lines(example)).toEqual(lines(code));
});

test('and prints what the README says', () => {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.examples.json'], { cwd: root });
  const program = join(root, 'build-examples/readme/main.js');
  // It saves a model where it runs.
  const cwd = mkdtempSync(join(tmpdir(), 'chainrule-readme-'));
  const printed = execFileSync(process.execPath, [program], { cwd, encoding: 'utf8' });
  rmSync(cwd, { recursive: true });
  expect(printed).toBe(output);
}, 60_000);
