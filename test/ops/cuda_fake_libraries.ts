import { join } from 'node:path';
import { defaultDevice } from '../../lib/devices.js';
import { canFake, library } from '../runtime/fake_driver.js';
import { callLog, fakeCublasLt, fakeCudnn } from '../runtime/fake_libraries.js';

// The emulated device with fakes of cuBLASLt and cuDNN, for the process that imports this.

/** Whether the library of CUDA devices can be loaded here; tests skip otherwise. */
export const canRun = canFake('products by libraries');

let calls = (): string[] => [];
if (canRun) {
  const folder = fakeCublasLt();
  const log = join(folder, 'calls');
  process.env.CHAINRULE_CUDA_BINARY = library;
  process.env.CHAINRULE_CUDA_EMULATE = '1';
  process.env.CHAINRULE_CUDA_LIBS = `${folder}:${fakeCudnn()}`;
  process.env.FAKE_CUBLASLT_LOG = log;
  process.env.FAKE_CUDNN_LOG = log;
  defaultDevice(); // names the library of CUDA devices
  calls = callLog(log);
}

/** What the libraries were asked to compute since the last look. */
export const libraryCalls = (): string[] => calls();
