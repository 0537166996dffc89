import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { ChainruleError } from './errors.js';
import { type DeviceList, native } from './native.js';

/**
 * Where a model or a traced function runs: `'auto'` takes the first GPU if there is one, `'cuda'` insists on it, `'cuda:1'`
 * names one, `'cpu'` stays off it.
 */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

export type { DeviceInfo } from './native.js';

let autotune: string | null = null;

const precision = process.env.CHAINRULE_FLOAT32_MATMUL_PRECISION;
if (precision) setFloat32MatmulPrecision(precision as 'high', 'CHAINRULE_FLOAT32_MATMUL_PRECISION');
const algorithm = process.env.CHAINRULE_CONV_ALGORITHM;
if (algorithm) setConvAlgorithm(algorithm as 'auto', 'CHAINRULE_CONV_ALGORITHM');
if (process.env.CHAINRULE_AUTOTUNE) setAutotune(process.env.CHAINRULE_AUTOTUNE, 'CHAINRULE_AUTOTUNE');
const memoryLimit = process.env.CHAINRULE_CUDA_MEMORY_LIMIT;
if (memoryLimit) {
  const where = 'CHAINRULE_CUDA_MEMORY_LIMIT';
  if (!(Number(memoryLimit) > 0)) throw unusableLimit(where, memoryLimit);
  setDeviceMemoryLimit(Number(memoryLimit), undefined, where);
}

/** Checks the spelling of a device; whether it is there shows when something is compiled for it. */
export function checkDevice(device: unknown, where: string): Device {
  if (typeof device === 'string' && /^(auto|cpu|cuda(:\d+)?)$/.test(device)) {
    if (device !== 'cpu') nameLibrary();
    return device as Device;
  }
  throw new ChainruleError(
    'ERR_CHAINRULE_DEVICE',
    `${where}: device "${String(device)}" is unknown; use 'auto', 'cpu', 'cuda' or 'cuda:0'.`,
  );
}

/** The device of whoever names none: CHAINRULE_DEVICE, or 'auto'. */
export function defaultDevice(): Device {
  return checkDevice(process.env.CHAINRULE_DEVICE || 'auto', 'CHAINRULE_DEVICE');
}

/** The GPUs that programs can run on; `reason` says in one line why there are none. */
export function listDevices(): Promise<DeviceList> {
  nameLibrary();
  return native.devices();
}

/**
 * How much of a GPU's memory this process may take, from the next allocation on, for weights, plans and data, beside the few
 * hundred megabytes that the driver takes for itself: a number of bytes, or below 1 a share of all there is; `Infinity` is no
 * limit, the default. Without a device it holds for each GPU that has no limit of its own. What does not fit rejects with
 * ERR_CHAINRULE_DEVICE_OOM before anything is allocated. CHAINRULE_CUDA_MEMORY_LIMIT sets the same for all GPUs.
 *
 * @throws ERR_CHAINRULE_VALUE for a limit that is not above 0, or from 1 to 1,048,575 (fewer bytes than any model takes);
 * ERR_CHAINRULE_DEVICE for a device that is no GPU.
 */
export function setDeviceMemoryLimit(limit: number, device?: Device, where = 'setDeviceMemoryLimit'): void {
  if (typeof limit !== 'number' || !(limit > 0) || (limit >= 1 && limit < 2 ** 20)) throw unusableLimit(where, limit);
  if (device !== undefined && !/^cuda/.test(checkDevice(device, where))) {
    throw new ChainruleError(
      'ERR_CHAINRULE_DEVICE',
      `${where}: device "${device}" has no memory of its own; name a GPU: 'cuda' or 'cuda:0'.`,
    );
  }
  native.configure({ memoryLimit: limit < 2 ** 53 ? limit : 0, memoryLimitDevice: device ?? '' });
}

function unusableLimit(where: string, limit: unknown): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_VALUE',
    `${where} takes a number of bytes (at least ${2 ** 20}), a share of the GPU's memory below 1, or Infinity for no limit; ` +
      `got "${String(limit)}".`,
  );
}

/**
 * Gives memory of GPUs that nobody uses back to the driver, and so to other processes: what is kept for the next allocations and
 * what plans compute in. That happens by itself when a GPU had no work for two seconds; this does it at once, after the work
 * that is queued. Weights stay there until their model is garbage.
 */
export function releaseDeviceMemory(): Promise<void> {
  return native.releaseDeviceMemory();
}

/**
 * How exactly GPUs multiply float32 matrices, also in convolutions and attention, for programs compiled from now on: `'high'`,
 * the default as in TensorFlow, may round factors to tf32 (10 bits of mantissa, sums in float32) to use tensor cores;
 * `'highest'` never does. CPUs are exact.
 */
export function setFloat32MatmulPrecision(precision: 'high' | 'highest', where = 'setFloat32MatmulPrecision'): void {
  if (precision !== 'high' && precision !== 'highest') {
    throw new ChainruleError('ERR_CHAINRULE_VALUE', `${where} takes 'high' or 'highest', got "${String(precision)}".`);
  }
  native.configure({ matmulPrecision: precision });
}

/**
 * How CPUs compute 3 x 3 convolutions of stride 1, for programs compiled from now on: `'auto'`, the default, takes Winograd's
 * F(2x2, 3x3) where the layer's size makes it faster (up to twice), `'winograd'` wherever it can, `'direct'` never. Roundings
 * differ and are of about the same size; an Infinity, or a number near the largest, also spoils its neighbours in a tile of
 * 4 x 4. CHAINRULE_CONV_ALGORITHM sets the same.
 */
export function setConvAlgorithm(algorithm: 'auto' | 'direct' | 'winograd', where = 'setConvAlgorithm'): void {
  if (algorithm !== 'auto' && algorithm !== 'direct' && algorithm !== 'winograd') {
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `${where} takes 'auto', 'direct' or 'winograd', got "${String(algorithm)}".`,
    );
  }
  native.configure({ convAlgorithm: algorithm });
}

/**
 * Chooses how GPUs compute products and convolutions by measuring, for programs compiled from now on: each that the file does
 * not name yet is tried in all ways there are (tiles of the kernels here, algorithms of cuBLASLt, cuDNN) when a plan is made for
 * it, and the fastest is written to the file. What stands there is taken and not measured again, in this and in every other
 * process: with the same file the same bits. `null`, the default, turns it off. CHAINRULE_AUTOTUNE names the file, too.
 *
 * @throws ERR_CHAINRULE_VALUE for what is no path. A plan for a GPU rejects with ERR_CHAINRULE_IO where the file cannot be read,
 * or has to be written and cannot be, and with ERR_CHAINRULE_FORMAT where it is not such a file.
 */
export function setAutotune(file: string | null, where = 'setAutotune'): void {
  if (file !== null && (typeof file !== 'string' || file === '')) {
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `${where} takes the path of a file or null, got "${String(file)}".`,
    );
  }
  autotune = file === null ? null : resolve(file);
  native.configure({ autotune: autotune ?? '' });
}

/** The file of setAutotune; null: off. */
export function autotuneFile(): string | null {
  return autotune;
}

let named = false;

/** Once, and only where somebody may want a device: resolving a package takes a millisecond. */
function nameLibrary(): void {
  if (!named) native.configure({ deviceLibrary: findLibrary() });
  named = true;
}

/** The library of CUDA devices: a named file, a developer's build, the package that carries it. */
function findLibrary(): string {
  const binary = process.env.CHAINRULE_CUDA_BINARY;
  if (binary !== undefined) return binary && resolve(binary);
  const root = join(__dirname, '..');
  const build = join(root, 'build-cmake/cuda/chainrule_cuda.node');
  if (existsSync(join(root, '.git')) && existsSync(build)) return build;
  try {
    return createRequire(__filename).resolve('@chainrule/cuda-linux-x64/chainrule_cuda.node');
  } catch {
    return '';
  }
}
