import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../..');

/** The library of CUDA devices that programs with a fake driver load. */
export const library = process.env.CHAINRULE_CUDA_BINARY ?? join(root, 'build-cmake/cuda/chainrule_cuda.node');

/** Whether such programs can run here; if not, a line says why `what` is skipped. */
export function canFake(what: string): boolean {
  const built = process.platform === 'linux' && existsSync(library);
  // Its own copy of libstdc++ frees what the sanitizer's `new` gave, since only the addon is built for the sanitizer.
  const sanitized = /lib(a|t)san/.test(process.env.LD_PRELOAD ?? '');
  if (!built || sanitized) {
    const why = built ? 'for the sanitizer' : '(npm run test:cuda builds it)';
    console.log(`${what}: skipped, the library of CUDA devices is not built ${why}`);
  }
  return built && !sanitized;
}

/** A folder with a libcuda.so.1 made of fake_cuda.c. */
export function fakeDriver(...flags: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'chainrule-driver-'));
  const source = join(__dirname, 'fake_cuda.c');
  execFileSync('gcc', ['-shared', '-fPIC', '-pthread', '-o', join(folder, 'libcuda.so.1'), source, ...flags]);
  return folder;
}

/** The folder of a working fake driver; undefined where the library holds no kernels that it could pretend to run. */
export function fakeGpu(what: string): string | undefined {
  if (!canFake(what)) return undefined;
  const folder = fakeDriver();
  const script = "require('./dist/devices.js').listDevices().then((list) => console.log(JSON.stringify(list)))";
  const { devices, reason } = runScript<{ devices: unknown[]; reason: string }>(script, folder);
  if (devices.length > 0) return folder;
  console.log(`${what}: skipped, ${reason}`);
  return undefined;
}

/** What a script prints as JSON, in a process of its own with the driver of that folder (undefined: the machine's). */
export function runScript<T>(script: string, folder: string | undefined, env: Record<string, string> = {}): T {
  const { CHAINRULE_CUDA_EMULATE: _, CHAINRULE_DEVICE: __, ...rest } = process.env;
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['--expose-gc', '-e', script], {
    cwd: root,
    encoding: 'utf8',
    env: {
      ...rest,
      ...(folder ? { LD_LIBRARY_PATH: folder, CHAINRULE_CUDA_LIBS: 'none' } : {}),
      CHAINRULE_CUDA_BINARY: library,
      ...env,
    },
  });
  if (!stdout || status !== 0) throw new Error(`ended with ${signal ?? status}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as T;
}

const fields = [
  ...['allocations', 'bytes', 'hostAllocations', 'streams', 'events', 'modules', 'graphs', 'executables', 'contexts'],
  ...['allocationCalls', 'hostAllocationCalls', 'workCalls', 'misuses', 'pending'],
  ...['failAllocation', 'failWork', 'busy', 'slow'],
] as const;

/** A file for FAKE_CUDA_STATE: with it the fake driver works. */
export function stateFile(): string {
  const file = join(mkdtempSync(join(tmpdir(), 'chainrule-driver-')), 'state');
  writeFileSync(file, Buffer.alloc(fields.length * 8));
  return file;
}

/** What scripts begin with: the driver's state, the library, a small model. */
export const prelude = `
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const cr = require('./dist/chainrule.js');
const fields = ${JSON.stringify(fields)};
const file = fs.openSync(process.env.FAKE_CUDA_STATE, 'r+');
const state = () => {
  const words = new BigInt64Array(fields.length);
  fs.readSync(file, words, 0, words.byteLength, 0);
  return Object.fromEntries(fields.map((name, i) => [name, Number(words[i])]));
};
const order = (name, value) => fs.writeSync(file, BigInt64Array.of(BigInt(value)), 0, 8, fields.indexOf(name) * 8);
const outcome = (promise) => promise.then(() => 'done', (error) => error.code + ': ' + error.message);
// Finalizers of what a collection found run in later turns of the event loop.
const collect = async () => {
  for (let i = 0; i < 4; ++i) {
    global.gc();
    await sleep(5);
  }
};
const x = new cr.NDArray(Float32Array.from({ length: 40 * 8 }, (_, i) => Math.sin(i)), [40, 8]);
const y = new cr.NDArray(Float32Array.from({ length: 40 }, (_, i) => i % 3), [40, 1]);
const build = (device) => {
  const model = cr.sequential([
    cr.layers.dense({ units: 16, activation: 'relu', inputShape: [8] }),
    cr.layers.batchNormalization(),
    cr.layers.dropout({ rate: 0.5 }),
    cr.layers.dense({ units: 3, activation: 'softmax' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'], device });
  return model;
};
const fit = (model, options) => model.fit(x, y, { epochs: 2, batchSize: 16, verbose: 0, ...options });
const main = (body) => body().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => { console.error(error); process.exit(1); },
);
`;
