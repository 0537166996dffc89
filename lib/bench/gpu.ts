import { listDevices } from '../devices.js';
import { ChainruleError } from '../errors.js';
import { trace } from '../graph/index.js';
import type { DeviceInfo } from '../native.js';
import { negative } from '../ops/index.js';
import type { Contender } from './contender.js';
import type { Peer } from './peers.js';
import type { Floor } from './rounds.js';
import { callContender } from './workload.js';
import { product } from './workloads/gpu_products.js';
import { residents } from './workloads/resident.js';

export interface Gpu {
  info: DeviceInfo;
  /** What peers call it: emulated kernels are compared with a peer on the CPU. */
  peerDevice: string;
  /** Rows of the products, and of the matrices copied, that show its limits. */
  size: number;
}

export async function openGpu(device: string): Promise<Gpu> {
  const { devices, reason } = await listDevices();
  const info = devices.find(({ id }) => id === device || device === 'cuda');
  if (!info) {
    const there = devices.map(({ id }) => id).join(', ');
    throw new ChainruleError(
      'ERR_CHAINRULE_DEVICE',
      `${device} is not there: ${there ? `there is ${there}` : reason}.`,
    );
  }
  const emulated = info.name === 'emulated GPU';
  return { info, peerDevice: emulated ? 'cpu' : info.id, size: emulated ? 16 : 8192 };
}

/** The limits as we and, where it is there, PyTorch reach them: products of factors in tf32 and bfloat16, copies. */
export async function measureGpuFloors(
  { size }: Gpu,
  peers: readonly Peer[],
  note: (line: string) => void,
): Promise<Record<string, Floor>> {
  const rate = async (work: number, contender: Contender) => {
    await contender.prepare();
    await contender.block(0.02);
    return work / 1e9 / (await contender.block(0.05));
  };
  const products = (['tf32', 'bf16'] as const).map((factors) => product(factors, 'nn', size, size, size, 2));
  const [gflops, bf16Gflops] = [
    await rate(2 * size ** 3, products[0]!.contender()),
    await rate(2 * size ** 3, products[1]!.contender()),
  ];
  const streamGBs = await rate(8 * size ** 2, copies(size));
  const floors: Record<string, Floor> = { chainrule: { gflops, bf16Gflops, streamGBs, cacheGBs: streamGBs } };
  for (const peer of peers) {
    try {
      floors[peer.program.name] = await peer.floor(size);
    } catch (error) {
      note(`floor: left out: ${peer.program.name}: ${(error as Error).message}`);
    }
  }
  return floors;
}

/** Reads size x size floats and writes as many. */
function copies(size: number): Contender {
  return callContender(async () => {
    const matrices = await residents('matrix', 32, [size, size]);
    const step = trace(() => {
      for (const matrix of matrices) matrix.assign(negative(matrix.read()));
      return [];
    });
    return { call: () => step.run({}), units: matrices.length };
  });
}

export function gpuLine(name: string, { gflops, bf16Gflops = gflops, streamGBs }: Floor): string {
  const [tf32, bf16] = [gflops, bf16Gflops].map((value) => (value / 1e3).toFixed(1));
  return `as ${name} reaches it: ${tf32} TFLOP/s tf32, ${bf16} TFLOP/s bfloat16, ${streamGBs.toFixed(0)} GB/s copied`;
}
