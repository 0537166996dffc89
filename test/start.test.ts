import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { wrap } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { describe, expect, test } from 'vitest';

// lib/entry.ts loads the bundle with the code that V8 compiled of it when it was built.
const dist = join(__dirname, '../dist');
const cacheName = `chainrule.v8-${process.versions.v8}`;

const run = (code: string, env: NodeJS.ProcessEnv = process.env): string =>
  execFileSync(process.execPath, ['-e', code], { encoding: 'utf8', env }).trim();

const predicts = (file: string): string => `
  const { sequential, layers } = require(${JSON.stringify(file)});
  const model = sequential([layers.dense({ units: 1, inputShape: [2], kernelInitializer: 'ones' })]);
  console.log(model.predictSync(new Float32Array([2, 3]))[0]);`;

describe('the start of the package', () => {
  test('V8 accepts the code that was compiled ahead', () => {
    const text = readFileSync(join(dist, 'chainrule.js'), 'utf8');
    expect(text).toMatch(/^[\0-\x7f]*$/); // the entry reads it as Latin-1
    const source = wrap(text);
    const cachedData = readFileSync(join(dist, cacheName));
    const script = new Script(source, { filename: join(dist, 'chainrule.js'), cachedData });
    expect(script.cachedDataRejected).toBe(false);
  });

  test('the package and its bundle are the same classes', () => {
    const entry = JSON.stringify(join(dist, 'entry.js'));
    const bundle = JSON.stringify(join(dist, 'chainrule.js'));
    expect(run(`console.log(require(${entry}) === require(${bundle}))`)).toBe('true');
    expect(run(`console.log(require(${bundle}) === require(${entry}))`)).toBe('true');
  });

  test('without code of this V8, or with foreign code, it compiles', () => {
    const root = mkdtempSync(join(tmpdir(), 'chainrule-start-'));
    const folder = join(root, 'dist');
    const env: NodeJS.ProcessEnv = { ...process.env, NODE_PATH: join(__dirname, '../node_modules') };
    env.CHAINRULE_BINARY ??= join(__dirname, '../build/Release/chainrule.node');
    try {
      mkdirSync(folder);
      for (const name of ['entry.js', 'chainrule.js']) copyFileSync(join(dist, name), join(folder, name));
      copyFileSync(join(__dirname, '../package.json'), join(root, 'package.json'));
      expect(run(predicts(join(folder, 'entry.js')), env)).toBe('5');
      writeFileSync(join(folder, cacheName), Buffer.alloc(4096, 7));
      expect(run(predicts(join(folder, 'entry.js')), env)).toBe('5');
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test('a first prediction loads no package, and no module of Node that takes long', () => {
    const root = mkdtempSync(join(tmpdir(), 'chainrule-start-'));
    const file = join(root, 'start.js'); // with -e Node loads some by itself
    writeFileSync(
      file,
      `${predicts(join(dist, 'entry.js')).replace('console.log', 'const result = ')}
      const packages = Object.keys(require.cache).filter((file) => /node_modules/.test(file));
      const slow = () => process.moduleLoadList.filter((name) =>
        /^NativeModule (child_process|crypto|fs.promises|http|https|net|readline|stream|worker_threads|zlib)$/.test(name));
      const before = slow();
      require('node:zlib');
      console.log(result, packages.join(), before.join(), slow().includes('NativeModule zlib'));`,
    );
    try {
      expect(execFileSync(process.execPath, [file], { encoding: 'utf8' }).trim()).toBe('5   true');
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test('a first prediction asks for no locale: the data of ICU are milliseconds and megabytes', () => {
    const code = `const asked = [];
      for (const { prototype } of [Array, BigInt, Date, Number, String])
        for (const name of Object.getOwnPropertyNames(prototype).filter((name) => /locale|normalize/i.test(name)))
          prototype[name] = () => asked.push(name);
      globalThis.Intl = new Proxy({}, { get: (_, name) => asked.push(name) });
      ${predicts(join(dist, 'entry.js'))}
      const own = asked.length;
      (1).toLocaleString(), 'b'.localeCompare('a'), Intl.Collator;
      console.log(own, asked.join());`;
    expect(run(code)).toBe('5\n0 toLocaleString,localeCompare,Collator');
  });

  test('another realm, as Jest makes one, gets classes of its own', () => {
    const code = `
      const vm = require('node:vm'), { readFileSync } = require('node:fs');
      const file = ${JSON.stringify(join(dist, 'entry.js'))};
      const loaded = [];
      const sandbox = vm.createContext({ process, Buffer, console });
      const load = vm.runInContext('(function (require, module, exports, __dirname) {' + readFileSync(file, 'utf8') + '})', sandbox);
      load((name) => (loaded.push(name), name.startsWith('node:') ? require(name) : {}), { exports: {} }, {}, ${JSON.stringify(dist)});
      console.log(loaded.at(-1));`;
    expect(run(code)).toBe('./chainrule.js');
  });
});
