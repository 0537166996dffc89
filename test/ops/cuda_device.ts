import { defaultDevice } from '../../lib/devices.js';
import { native } from '../../lib/native.js';

defaultDevice(); // names the library of CUDA devices
const { devices, reason } = native.devicesSync();

/** The first CUDA device: a GPU, or with CHAINRULE_CUDA_EMULATE=1 the emulated grid. '' where there is none: tests skip. */
export const cudaDevice: string = devices[0]?.id ?? '';
if (!cudaDevice) console.log(`not run on CUDA: ${reason}`);
