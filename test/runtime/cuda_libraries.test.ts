import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cudaBinary, cudaIsBuilt, fakeCublasLt, root } from './fake_libraries.js';

// Where NVIDIA's libraries are looked for, and what is said and done where they are missing, old or fail.

const script = `
const { listDevices } = require('./dist/devices.js');
const { native } = require('./dist/native.js');
const { sequential, layers } = require('./dist/chainrule.js');
(async () => {
  await listDevices();
  const libraries = await native.deviceLibraries();
  const model = sequential([layers.dense({ units: 1, inputShape: [2], kernelInitializer: 'ones' })]);
  model.compile({ device: 'cuda' });
  const result = await model.predict([[1, 2]]).then(({ data }) => Array.from(data), (error) => error.code + ': ' + error.message);
  console.log(JSON.stringify({ libraries, result }));
})();`;

function environment(env: Record<string, string>) {
  const { CHAINRULE_DEVICE: _, CHAINRULE_CUDA_LIBS: __, ...rest } = process.env;
  return { ...rest, CHAINRULE_CUDA_BINARY: cudaBinary, CHAINRULE_CUDA_EMULATE: '1', ...env };
}
function look(env: Record<string, string>) {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: root,
    encoding: 'utf8',
    env: environment(env),
  });
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout) as { libraries: { cuBLASLt: string }; result: unknown };
}

const folder = cudaIsBuilt ? fakeCublasLt() : '';

test.skipIf(!cudaIsBuilt)('found in a folder, or in the nvidia/*/lib of site-packages', () => {
  const seen = look({ CHAINRULE_CUDA_LIBS: `/nowhere:${folder}` });
  expect(seen).toEqual({ libraries: { cuBLASLt: `13.1.2, ${folder}/libcublasLt.so.13` }, result: [3] });

  const packages = mkdtempSync(join(tmpdir(), 'chainrule-site-packages-'));
  const lib = join(packages, 'nvidia/cu13/lib');
  mkdirSync(lib, { recursive: true });
  copyFileSync(join(folder, 'libcublasLt.so.13'), join(lib, 'libcublasLt.so.13'));
  expect(look({ CHAINRULE_CUDA_LIBS: packages }).libraries.cuBLASLt).toBe(`13.1.2, ${lib}/libcublasLt.so.13`);
});

test.skipIf(!cudaIsBuilt)('not there, turned off, broken, too old: the reason, and the kernels here', () => {
  const broken = mkdtempSync(join(tmpdir(), 'chainrule-broken-'));
  writeFileSync(join(broken, 'libcublasLt.so.13'), 'no library');
  const libraries = { CHAINRULE_CUDA_LIBS: folder };
  for (const [env, text] of [
    [{}, 'not found: no libcublasLt.so.13 or libcublasLt.so.12; CHAINRULE_CUDA_LIBS names folders to look in'],
    [{ CHAINRULE_CUDA_LIBS: '/nowhere' }, 'not found: no libcublasLt.so.13 or libcublasLt.so.12'],
    [{ CHAINRULE_CUDA_LIBS: 'none' }, 'turned off by CHAINRULE_CUDA_LIBS=none'],
    [{ CHAINRULE_CUDA_LIBS: broken }, /could not be loaded: .*libcublasLt\.so\.13: /],
    [{ CHAINRULE_CUDA_LIBS: fakeCublasLt('-DcublasLtMatmul=other') }, /lacks cublasLtMatmul: \/.*libcublasLt\.so\.13$/],
    [
      { CHAINRULE_CUDA_LIBS: fakeCublasLt('-DchainruleComputesOnHost=other') },
      /libcublasLt\.so\.13 needs a GPU: the device is emulated$/,
    ],
    [{ ...libraries, FAKE_CUBLASLT_VERSION: '110508' }, /is version 11\.5\.8, 12\.0 is needed: \//],
    [{ ...libraries, FAKE_CUBLASLT_CREATE: '1' }, /cublasLtCreate: FAKE_STATUS \(cuBLASLt 13\.1\.2, \//],
  ] as [Record<string, string>, string | RegExp][]) {
    const seen = look(env);
    expect(seen.result).toEqual([3]);
    if (typeof text === 'string') expect(seen.libraries.cuBLASLt).toBe(`not used: ${text}`);
    else expect(seen.libraries.cuBLASLt).toMatch(text);
  }
});

test.skipIf(!cudaIsBuilt)(
  'no algorithm for a shape: the kernels here; a call that fails: an error that says which',
  () => {
    const libraries = { CHAINRULE_CUDA_LIBS: folder };
    expect(look({ ...libraries, FAKE_CUBLASLT_HEURISTIC: '15', FAKE_CUBLASLT_MATMUL: '14' }).result).toEqual([3]);
    expect(look({ ...libraries, FAKE_CUBLASLT_MATMUL: '15' }).result).toMatch(
      /^ERR_CHAINRULE_DEVICE: cublasLtMatmul: FAKE_NOT_SUPPORTED \(cuBLASLt 13.1.2, .*CHAINRULE_CUDA_LIBS=none does without/,
    );
    expect(look({ ...libraries, FAKE_CUBLASLT_HEURISTIC: '14' }).result).toMatch(
      /cublasLtMatmulAlgoGetHeuristic: FAKE_/,
    );
  },
);

test.skipIf(!cudaIsBuilt)('info names them', () => {
  const { stdout } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), 'info'], {
    encoding: 'utf8',
    env: environment({ CHAINRULE_CUDA_LIBS: folder }),
  });
  expect(stdout).toMatch(/^cudaLibraries\.cuBLASLt +13\.1\.2, \/.*libcublasLt\.so\.13$/m);
});
