import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canFake, fakeDriver, runScript } from './fake_driver.js';

// What is said where the NVIDIA driver is missing, broken or old: a fake libcuda.so.1 answers as told.

const ready = canFake('driver messages');

const script = `
const { listDevices } = require('./dist/devices.js');
const { sequential, layers } = require('./dist/chainrule.js');
(async () => {
  const list = await listDevices();
  const attempt = async (device) => {
    const model = sequential([layers.dense({ units: 1, inputShape: [2], kernelInitializer: 'ones' })]);
    model.compile({ device });
    return model.predict([[1, 2]]).then(({ data }) => Array.from(data), (error) => error.code + ': ' + error.message);
  };
  console.log(JSON.stringify({ ...list, cuda: await attempt('cuda'), auto: await attempt('auto') }));
})();`;

interface Seen {
  devices: { id: string; name: string; freeBytes?: number; usedBytes?: number }[];
  reason: string;
  cuda: unknown;
  auto: unknown;
}
const look = (folder: string | undefined, env?: Record<string, string>) => runScript<Seen>(script, folder, env);

const folder = ready ? fakeDriver() : undefined;

test.skipIf(!ready).for([
  ['34', /stub of a toolkit/],
  ['35', /older than this library needs/],
  ['46', /another process has the GPU/],
  ['100', /sees no GPU/],
  ['101', /names a GPU that is not there/],
  ['803', /different versions/],
  ['804', /forward-compatible/],
  ['999', /failed to start/],
  ['3', /cuInit: CUDA_ERROR_FAKE \(as asked\)/],
] as const)('cuInit answers %s', ([code, text]) => {
  const seen = look(folder, { FAKE_CUDA_INIT: code });
  expect(seen.devices).toEqual([]);
  expect(seen.reason).toMatch(text);
  expect(seen.cuda).toMatch(/^ERR_CHAINRULE_DEVICE: .*not available/);
  expect(seen.auto).toEqual([3]); // on the CPU
});

test.skipIf(!ready)('an old driver, no device, an old device', () => {
  expect(look(folder, { FAKE_CUDA_VERSION: '11040' }).reason).toMatch(/supports CUDA 11.4, this library needs 12.0/);
  expect(look(folder, { FAKE_CUDA_DEVICES: '0' }).reason).toMatch(/sees no GPU/);
  expect(look(folder, { FAKE_CUDA_MAJOR: '7' }).reason).toMatch(/compute capability 7.0, 8.0 is needed/);
  expect(look(fakeDriver('-DFAKE_CUDA_OLD')).reason).toMatch(/too old \(no cuEventElapsedTime/);
});

test.skipIf(!ready)('no library, another library', () => {
  expect(look(undefined, { CHAINRULE_CUDA_BINARY: '' }).reason).toMatch(/@chainrule\/cuda-linux-x64 is not installed/);
  expect(look(undefined, { CHAINRULE_CUDA_BINARY: '/nowhere/x.node' }).reason).toMatch(/could not be loaded/);
});

test.skipIf(!ready)('a device that fails when it is opened: an error for cuda, for auto too', () => {
  for (const [call, code] of [
    ['2', 'ERR_CHAINRULE_DEVICE_OOM'],
    ['700', 'ERR_CHAINRULE_DEVICE_LOST'],
    ['999', 'ERR_CHAINRULE_DEVICE'],
  ] as const) {
    const seen = look(folder, { FAKE_CUDA_CALL: call });
    if (seen.devices.length === 0) {
      expect(seen.reason).toMatch(/holds no kernels/); // built without nvcc
      continue;
    }
    expect(seen.cuda).toMatch(new RegExp(`^${code}: `));
  }
});

test.skipIf(!ready)('free memory of a GPU that nobody uses yet, from the library beside the driver', () => {
  const folder = fakeDriver();
  const [unknown] = look(folder).devices;
  if (!unknown) return; // built without nvcc
  expect(unknown).not.toHaveProperty('freeBytes');
  symlinkSync('libcuda.so.1', join(folder, 'libnvidia-ml.so.1'));
  expect(look(folder).devices[0]).toMatchObject({ freeBytes: 700 * 2 ** 20 });
  expect(look(folder).devices[0]).not.toHaveProperty('usedBytes');
  expect(look(folder, { FAKE_NVML_INIT: '9' }).devices[0]).not.toHaveProperty('freeBytes');
});
