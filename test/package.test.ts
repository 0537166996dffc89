import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// The package as a user gets it: packed, installed into a foreign folder, with no compiler in reach and no scripts run.
const root = join(__dirname, '..');
const obstacle = whyNoPrebuild();
if (obstacle) console.log(`package test skipped: ${obstacle}`);

describe.skipIf(obstacle)('the packed package', () => {
  const work = mkdtempSync(join(tmpdir(), 'chainrule-package-'));
  const home = join(work, 'app');
  const bin = join(work, 'bin');
  let files: string[] = [];

  const env = { ...process.env, PATH: bin };
  for (const name of Object.keys(env))
    if (/^CHAINRULE_|^LD_PRELOAD$/.test(name)) delete (env as NodeJS.ProcessEnv)[name];
  const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: home, env, encoding: 'utf8' }).trim();

  beforeAll(() => {
    execFileSync(process.execPath, [join(root, 'scripts/prebuild.mjs')], { stdio: 'pipe' });
    mkdirSync(home);
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, 'node'));
    const pack = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', work], { cwd: root });
    const [packed] = JSON.parse(pack) as [{ filename: string; files: { path: string }[] }];
    files = packed.files.map(({ path }) => path);
    writeFileSync(join(home, 'package.json'), '{"name":"app","version":"1.0.0","private":true}');
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    npm(['install', join(work, packed.filename), ...options], { cwd: home, env });
  }, 180_000);

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  test('holds the binary and no binding.gyp, which npm would build by itself', () => {
    expect(files).toContain('dist/index.mjs');
    expect(files.some((path) => /^prebuilds\/.*\.node$/.test(path))).toBe(true);
    expect(files.filter((path) => /binding\.gyp$|^test\/|tsbuildinfo$|\.stamp$/.test(path))).toEqual([]);
  });

  test('has no install script, and neither has a dependency', () => {
    expect(readFileSync(join(home, 'package-lock.json'), 'utf8')).not.toContain('hasInstallScript');
  });

  test('works by require and by import, with one class identity', () => {
    writeFileSync(
      join(home, 'both.mjs'),
      `import { createRequire } from 'node:module';
       import * as esm from 'chainrule';
       const cjs = createRequire(import.meta.url)('chainrule');
       const missing = Object.keys(cjs).filter((name) => esm[name] !== cjs[name]);
       console.log(JSON.stringify({ missing, version: esm.version, exports: Object.keys(cjs).length }));`,
    );
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    const result = JSON.parse(node('both.mjs')) as { missing: string[]; version: string; exports: number };
    expect(result).toMatchObject({ missing: [], version });
    expect(result.exports).toBeGreaterThan(1);
  });

  test('loads its own binary and its own libgomp', () => {
    const info = JSON.parse(node('node_modules/chainrule/dist/cli/main.js', 'info', '--json')) as {
      addon: { path: string };
      openmpLibraries: string[];
    };
    const folder = realpathSync(join(home, 'node_modules/chainrule/prebuilds'));
    expect(info.addon.path.startsWith(folder)).toBe(true);
    const needsOpenmp = execFileSync('objdump', ['-p', info.addon.path], { encoding: 'utf8' }).includes('libgomp.so.1');
    expect(info.openmpLibraries).toHaveLength(needsOpenmp ? 1 : 0);
    for (const library of info.openmpLibraries) expect(library.startsWith(folder)).toBe(true);
  });

  test('says what to type when the binary is not there', () => {
    rmSync(join(home, 'node_modules/chainrule/prebuilds'), { recursive: true });
    const { stderr } = spawnSync(process.execPath, ['-e', 'require("chainrule")'], {
      cwd: home,
      env,
      encoding: 'utf8',
    });
    expect(stderr).toContain('ChainruleError [ERR_CHAINRULE_NATIVE_LOAD]: could not load the native addon');
    expect(stderr).toContain('npm install chainrule');
  });
});

/** npm's own JavaScript file by Node: a PATH without npm is a part of the test. */
function npm(args: string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): string {
  return execFileSync(process.execPath, [npmCli(), ...args], { encoding: 'utf8', stdio: 'pipe', ...options });
}

function npmCli(): string {
  const own = process.env.npm_execpath;
  if (own?.endsWith('.js')) return own;
  return realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());
}

function whyNoPrebuild(): string {
  if (process.platform !== 'linux') return 'binaries are shipped for Linux only';
  if (!existsSync(join(root, 'build/Release/chainrule.node'))) return 'the addon was not built with node-gyp';
  const absent = ['strip', 'objdump', 'g++'].filter((name) => spawnSync(name, ['--version']).status !== 0);
  return absent.length > 0 ? `${absent.join(', ')} not installed` : '';
}
