import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canFake, fakeGpu, library, runScript, stateFile } from './fake_driver.js';
import { fakeCublasLt, fakeCudnn } from './fake_libraries.js';

const root = join(__dirname, '../..');

// Where NVIDIA's libraries are looked for, and what is said and done where they are missing, old or fail.

const script = `
const { listDevices } = require('./dist/devices.js');
const { native } = require('./dist/native.js');
const { sequential, layers } = require('./dist/chainrule.js');
(async () => {
  await listDevices();
  const libraries = await native.deviceLibraries();
  const run = (layer, x) => {
    const model = sequential([layer]);
    model.compile({ device: 'cuda' });
    return model.predict(x).then(({ data }) => Array.from(data), (error) => error.code + ': ' + error.message);
  };
  const product = await run(layers.dense({ units: 1, inputShape: [2], kernelInitializer: 'ones' }), [[1, 2]]);
  const convolution = await run(
    layers.conv2d({ filters: 1, kernelSize: 2, inputShape: [2, 2, 5], kernelInitializer: 'ones' }),
    [[[1, 2], [3, 4]].map((row) => row.map((x) => [x, 0, 0, 0, 0]))],
  );
  console.log(JSON.stringify({ libraries, product, convolution }));
})();`;

interface Seen {
  libraries: { cuBLASLt: string; cuDNN: string };
  product: unknown;
  convolution: unknown;
}
const ready = canFake('libraries of NVIDIA');
const emulated = { CHAINRULE_CUDA_EMULATE: '1', CHAINRULE_CUDA_LIBS: '' };
const look = (env: Record<string, string>) => runScript<Seen>(script, undefined, { ...emulated, ...env });

const folder = ready ? fakeCublasLt() : '';
const dnnFolder = ready ? fakeCudnn() : '';
const bothFolders = { CHAINRULE_CUDA_LIBS: `${folder}:${dnnFolder}` };

test.skipIf(!ready)('found in folders, or in the nvidia/*/lib of site-packages', () => {
  expect(look({ CHAINRULE_CUDA_LIBS: `/nowhere:${folder}:${dnnFolder}` })).toEqual({
    libraries: { cuBLASLt: `13.1.2, ${folder}/libcublasLt.so.13`, cuDNN: `9.13.1, ${dnnFolder}/libcudnn.so.9` },
    product: [3],
    convolution: [10],
  });
  const packages = mkdtempSync(join(tmpdir(), 'chainrule-site-packages-'));
  for (const [name, from, to] of [
    ['libcublasLt.so.13', folder, 'cu13'],
    ['libcudnn.so.9', dnnFolder, 'cudnn'],
  ] as const) {
    mkdirSync(join(packages, 'nvidia', to, 'lib'), { recursive: true });
    copyFileSync(join(from, name), join(packages, 'nvidia', to, 'lib', name));
  }
  expect(look({ CHAINRULE_CUDA_LIBS: packages }).libraries).toEqual({
    cuBLASLt: `13.1.2, ${packages}/nvidia/cu13/lib/libcublasLt.so.13`,
    cuDNN: `9.13.1, ${packages}/nvidia/cudnn/lib/libcudnn.so.9`,
  });
});

type Case = [env: Record<string, string>, text: string | RegExp];
function expectUnused(library: 'cuBLASLt' | 'cuDNN', [env, text]: Case): void {
  const { libraries, ...results } = look(env);
  expect(results).toEqual({ product: [3], convolution: [10] });
  if (typeof text === 'string') expect(libraries[library]).toBe(`not used: ${text}`);
  else expect(libraries[library]).toMatch(text);
}

test.skipIf(!ready)('not there, turned off, broken, too old: the reason, and the kernels here', () => {
  const broken = mkdtempSync(join(tmpdir(), 'chainrule-broken-'));
  writeFileSync(join(broken, 'libcublasLt.so.13'), 'no library');
  const cases: Case[] = [
    [{}, 'not found: no libcublasLt.so.13 or libcublasLt.so.12; CHAINRULE_CUDA_LIBS names folders to look in'],
    [{ CHAINRULE_CUDA_LIBS: '/nowhere' }, 'not found: no libcublasLt.so.13 or libcublasLt.so.12'],
    [{ CHAINRULE_CUDA_LIBS: 'none' }, 'turned off by CHAINRULE_CUDA_LIBS=none'],
    [{ CHAINRULE_CUDA_LIBS: broken }, /could not be loaded: .*libcublasLt\.so\.13: /],
    [{ CHAINRULE_CUDA_LIBS: fakeCublasLt('-DcublasLtMatmul=other') }, /lacks cublasLtMatmul: \/.*libcublasLt\.so\.13$/],
    [
      { CHAINRULE_CUDA_LIBS: fakeCublasLt('-DchainruleComputesOnHost=other') },
      /libcublasLt\.so\.13 needs a GPU: the device is emulated$/,
    ],
    [{ ...bothFolders, FAKE_CUBLASLT_VERSION: '110508' }, /is version 11\.5\.8, 12\.0 is needed: \//],
    [{ ...bothFolders, FAKE_CUBLASLT_CREATE: '1' }, /cublasLtCreate: FAKE_STATUS \(cuBLASLt 13\.1\.2, \//],
  ];
  for (const one of cases) expectUnused('cuBLASLt', one);
});

test.skipIf(!ready)('likewise cuDNN', () => {
  const cases: Case[] = [
    [{ CHAINRULE_CUDA_LIBS: folder }, 'not found: no libcudnn.so.9'],
    [{ CHAINRULE_CUDA_LIBS: fakeCudnn('-DcudnnSetStream=other') }, /lacks cudnnSetStream: \/.*libcudnn\.so\.9$/],
    [{ ...bothFolders, FAKE_CUDNN_VERSION: '8907' }, /is older than version 9: \//],
    [{ ...bothFolders, FAKE_CUDNN_CREATE: '1001' }, /cudnnCreate: FAKE_CUDNN_STATUS \(cuDNN 9\.13\.1, \//],
  ];
  for (const one of cases) expectUnused('cuDNN', one);
});

test.skipIf(!ready)(
  'what a library does not support is done here; a call that fails is an error that says which',
  () => {
    const unsupported = look({
      ...bothFolders,
      FAKE_CUBLASLT_HEURISTIC: '15',
      FAKE_CUBLASLT_MATMUL: '14',
      FAKE_CUDNN_WORKSPACE: '3002',
      FAKE_CUDNN_CONVOLUTION: '5000',
    });
    expect(unsupported).toMatchObject({ product: [3], convolution: [10] });
    expect(look({ ...bothFolders, FAKE_CUDNN_CONVOLUTION: '3004' }).convolution).toEqual([10]); // said when it is called
    const failing = look({ ...bothFolders, FAKE_CUBLASLT_MATMUL: '15', FAKE_CUDNN_CONVOLUTION: '5000' });
    expect(failing.product).toMatch(
      /^ERR_CHAINRULE_DEVICE: cublasLtMatmul: FAKE_NOT_SUPPORTED \(cuBLASLt 13.1.2, .*CHAINRULE_CUDA_LIBS=none does without/,
    );
    expect(failing.convolution).toMatch(
      /^ERR_CHAINRULE_DEVICE: cudnnConvolutionBiasActivationForward: FAKE_CUDNN_STATUS \(cuDNN 9.13.1, .*=none does without/,
    );
    const asked = look({ ...bothFolders, FAKE_CUBLASLT_HEURISTIC: '14', FAKE_CUDNN_WORKSPACE: '2000' });
    expect(asked.product).toMatch(/cublasLtMatmulAlgoGetHeuristic: FAKE_/);
    expect(asked.convolution).toMatch(/cudnnGetConvolution...WorkspaceSize: FAKE_/);
  },
);

const gpu = fakeGpu('libraries of a GPU');
test.skipIf(!gpu)('a GPU takes libraries for GPUs, and for the CUDA of its driver', () => {
  const onGpu = (env: Record<string, string>) => {
    const script = `
      const { native } = require('./dist/native.js');
      require('./dist/devices.js').listDevices().then(() => native.deviceLibraries()).then((seen) => console.log(JSON.stringify(seen)));`;
    return runScript<Seen['libraries']>(script, gpu, { FAKE_CUDA_STATE: stateFile(), ...env });
  };
  const flag = '-DchainruleComputesOnHost=other';
  const folders = [fakeCublasLt(flag), fakeCudnn(flag)];
  const libraries = { CHAINRULE_CUDA_LIBS: folders.join(':') };
  const seen = onGpu(libraries);
  expect(seen.cuBLASLt).toBe(`13.1.2, ${folders[0]}/libcublasLt.so.13`);
  expect(seen.cuDNN).toBe(`9.13.1, ${folders[1]}/libcudnn.so.9`);
  // What the machine itself may have is not known here.
  expect(onGpu({ ...libraries, FAKE_CUDA_VERSION: '12040' }).cuBLASLt).not.toContain(folders[0]);
  expect(onGpu(bothFolders).cuBLASLt).not.toContain(`13.1.2, ${folder}`);
});

test.skipIf(!ready)('info names them', () => {
  const { stdout } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), 'info'], {
    encoding: 'utf8',
    env: { ...process.env, CHAINRULE_CUDA_BINARY: library, ...emulated, ...bothFolders },
  });
  expect(stdout).toMatch(/^cudaLibraries\.cuBLASLt +13\.1\.2, \/.*libcublasLt\.so\.13$/m);
  expect(stdout).toMatch(/^cudaLibraries\.cuDNN +9\.13\.1, \/.*libcudnn\.so\.9$/m);
});
