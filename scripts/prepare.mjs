// Brings a working copy up to date: packages, addon, dist/. Runs before node_modules exists, so Node's built-ins only.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

/** Runs a program with the terminal as its output; a failure ends this process with the same exit code. */
export function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** Runs a package's own JavaScript file: without a shell and without npx. */
export function runBin(file, args, env = {}) {
  run(process.execPath, [join(root, 'node_modules', file), ...args], env);
}

/** Installs when node_modules is absent or was made from another lockfile. */
export function install() {
  const stamp = 'node_modules/.chainrule-lock';
  const wanted = hashFiles(['package-lock.json']);
  if (readIfThere(stamp) === wanted) return;
  // Somebody's own `npm install` leaves no stamp of ours, but a record that is newer than the lockfile.
  const record = 'node_modules/.package-lock.json';
  const fresh = existsSync(record) && statSync(record).mtimeMs >= statSync('package-lock.json').mtimeMs;
  if (!fresh) {
    console.log('Installing packages (npm ci) …');
    const npm = process.env.npm_execpath;
    const args = ['ci', '--no-audit', '--no-fund', '--ignore-scripts'];
    npm?.endsWith('.js') ? run(process.execPath, [npm, ...args]) : run('npm', args);
  }
  writeFileSync(stamp, wanted);
}

/** Compiles the addon when a source changed. `make` does the incremental part; the stamp saves asking it. */
export async function buildAddon() {
  const stamp = 'build/.stamp';
  const files = ['binding.gyp', 'package-lock.json', 'scripts/sources.mjs', ...listFiles('native')];
  const wanted = hashFiles(files, process.version, process.arch);
  if (readIfThere(stamp) === wanted && existsSync('build/Release/chainrule.node')) return;
  console.log('Compiling the addon …');
  const { nodeGyp } = await import('./node-gyp.mjs');
  nodeGyp('configure', '--silent');
  nodeGyp('build', '--silent');
  writeFileSync(stamp, wanted);
}

/** Compiles lib/ into dist/ when a file changed. */
export async function buildDist() {
  const stamp = 'dist/.stamp';
  const wanted = hashFiles([
    'package-lock.json',
    'tsconfig.json',
    'scripts/esm-facade.mjs',
    'scripts/bundle.mjs',
    ...listFiles('lib'),
  ]);
  if (readIfThere(stamp) === wanted) return;
  console.log('Compiling lib/ …');
  dropOrphans();
  runBin('typescript/bin/tsc', ['-p', 'tsconfig.json']);
  const { writeFacade } = await import('./esm-facade.mjs');
  writeFacade();
  const { writeBundle } = await import('./bundle.mjs');
  await writeBundle();
  mkdirSync('dist', { recursive: true });
  writeFileSync(stamp, wanted);
}

/** Compiles the bundle ahead, as this Node's V8 has it. Running it takes the addon. */
export function buildCodeCache() {
  const stamp = 'dist/.code-stamp';
  const wanted = hashFiles(['dist/chainrule.js', 'scripts/code-cache.cjs'], process.versions.v8);
  if (readIfThere(stamp) === wanted && existsSync(`dist/chainrule.v8-${process.versions.v8}`)) return;
  run(process.execPath, ['scripts/code-cache.cjs']);
  writeFileSync(stamp, wanted);
}

/** Everything that tests and examples need. */
export async function prepare() {
  install();
  if (!process.env.CHAINRULE_BINARY) await buildAddon();
  await buildDist();
  buildCodeCache();
}

/** Files below a folder, sorted, so that a hash over them does not depend on the file system. */
export function listFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function hashFiles(files, ...more) {
  const hash = createHash('sha256').update(more.join());
  for (const file of files) hash.update(`\n${file}\n`).update(readFileSync(file));
  return hash.digest('hex');
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** tsc never deletes: without this a removed file would live on in dist/ and in the package. */
function dropOrphans() {
  if (!existsSync('dist')) return;
  for (const file of listFiles('dist').filter((name) => /\.(js|d\.ts)$/.test(name) && name !== 'dist/chainrule.js')) {
    if (!existsSync(file.replace(/^dist/, 'lib').replace(/\.(js|d\.ts)$/, '.ts'))) rmSync(file);
  }
}
