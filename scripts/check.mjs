// npm run check: formatting and lint, types, layers, sizes, package shape. A failed check does not stop the next.
import { spawnSync } from 'node:child_process';
import { checkLayering } from './check-layering.mjs';
import { checkSizes } from './check-sizes.mjs';
import { buildDist, install, listFiles } from './prepare.mjs';

install();

let failed = false;

function report(name, problems, notes = []) {
  console.log(`${problems.length ? 'FAIL' : 'ok  '} ${name}`);
  for (const line of [...problems, ...notes.map((note) => `note: ${note}`)]) console.log(`     ${line}`);
  failed ||= problems.length > 0;
}

function tool(name, command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  report(name, status === 0 ? [] : `${stdout ?? ''}${stderr ?? ''}`.trimEnd().split('\n'));
}

function nodeTool(name, file, args) {
  tool(name, process.execPath, [`node_modules/${file}`, ...args]);
}

nodeTool('format and lint (biome)', '@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '--colors=off', '.']);
nodeTool('types (tsc)', 'typescript/bin/tsc', ['-p', 'tsconfig.check.json']);
report('layers', checkLayering());
const sizes = checkSizes();
report('sizes and names', sizes.errors, sizes.reports);

const cpp = ['native', 'test/native'].flatMap(listFiles).filter((file) => /\.(cpp|h|inl|cuh)$/.test(file));
// Every version of clang-format breaks lines its own way, so only one of them may judge.
const formatter = spawnSync('clang-format', ['--version'], { encoding: 'utf8' }).stdout ?? '';
if (/version 14\./.test(formatter)) tool('format (C++)', 'clang-format', ['--dry-run', '--Werror', ...cpp]);
else console.log('skip format (C++): clang-format 14 is not installed (pip install clang-format==14.0.6)');

if (failed) process.exit(1); // the shape of a package is judged by its files, and broken code has none
await buildDist();
nodeTool('package (publint)', 'publint/src/cli.js', ['--strict']);
nodeTool('package types (attw)', '@arethetypeswrong/cli/dist/index.js', ['--pack', '.', '--no-emoji', '--no-color']);
process.exit(failed ? 1 : 0);
