import { describe, expect, test } from 'vitest';
import { measureGpuFloors, openGpu } from '../../lib/bench/gpu.js';
import { floorSeconds } from '../../lib/bench/results.js';
import { lossTolerance } from '../../lib/bench/rounds.js';
import { runBench } from '../../lib/bench/run.js';
import { callContender, type Unit } from '../../lib/bench/workload.js';
import { product } from '../../lib/bench/workloads/gpu_products.js';
import { adamUnit, rowsUnit } from '../../lib/bench/workloads/gpu_rows.js';
import { lstmUnits } from '../../lib/bench/workloads/gpu_training.js';
import { gpuWorkloads } from '../../lib/bench/workloads/index.js';
import { cudaDevice } from '../ops/cuda_device.js';

const unit: Unit = {
  name: 'tr',
  what: '',
  flop: 1e9,
  contender: () => callContender(async () => ({ call: () => undefined })),
};
const floor = { gflops: 100, bf16Gflops: 400, streamGBs: 10, cacheGBs: 10 };

test('the floor of bfloat16 factors is that of bfloat16 products', () => {
  expect(floorSeconds({ ...unit, factors: 'tf32' }, floor)).toBeCloseTo(0.01, 12);
  expect(floorSeconds({ ...unit, factors: 'bf16' }, floor)).toBeCloseTo(0.0025, 12);
});

test('losses on a GPU may differ by eleven roundings of the factors, on the CPU by 1e-3', () => {
  expect(lossTolerance(unit, 2, false)).toBe(1e-3);
  expect(lossTolerance(unit, 2, true)).toBeCloseTo((2 * 11) / 2048, 12);
  expect(lossTolerance({ ...unit, factors: 'bf16' }, 2, true)).toBeCloseTo((2 * 11) / 256, 12);
  expect(lossTolerance({ ...unit, factors: 'bf16' }, 0.001, true)).toBe(1e-3);
});

test('workloads for GPUs have names of their own, and those of products say their sizes', () => {
  expect(new Set(gpuWorkloads.map(({ id }) => id)).size).toBe(gpuWorkloads.length);
  for (const { units } of gpuWorkloads) expect(new Set(units.map(({ name }) => name)).size).toBe(units.length);
  for (const { name, flop } of gpuWorkloads[0]!.units) {
    const [m, n, k] = name.split('-')[2]!.split('x').map(Number);
    expect(flop).toBe(2 * m! * n! * k!);
  }
});

test('a GPU that is not there is named, with what there is', async () => {
  await expect(openGpu('cuda:17')).rejects.toThrow(/cuda:17 is not there: /);
});

describe.skipIf(!cudaDevice)('on a device', () => {
  const small = [
    product('bf16', 'nn', 8, 16, 16, 2),
    product('tf32', 'tn', 8, 16, 16, 2),
    adamUnit(0.001),
    ...['layernorm', 'softmax', 'dropout', 'gelu'].map((name) => rowsUnit(name, 16, 32)),
    ...lstmUnits({ rows: 2, length: 1, width: 2, units: 2 }).filter(({ name }) => name === 'step'),
  ];

  test('units run there and the report says so', async () => {
    const lines: string[] = [];
    let saved = 0;
    const { failed, report } = await runBench([{ id: 'G0', name: 'small', units: small }], {
      device: 'cuda',
      threads: 1,
      blocks: 1,
      blockSeconds: 1e-4,
      peers: 'none',
      host: {},
      git: null,
      print: (line) => lines.push(line),
      progress: () => saved++,
    });
    expect(lines.join('\n')).not.toMatch(/failed/);
    expect(failed).toBe(false);
    expect(saved).toBe(small.length);
    expect(report).toMatchObject({
      config: { device: cudaDevice, dtype: 'float32', matmul: 'tf32', gpu: { id: cudaDevice } },
      floors: { chainrule: { bf16Gflops: expect.any(Number) } },
    });
    const { results } = report as { results: { params: object; ofFloor: number }[] };
    expect(results.map(({ params }) => params)).toEqual(
      small.map(({ name, factors }) => ({
        workload: 'G0',
        task: name,
        contender: 'chainrule',
        ...(factors && { factors }),
      })),
    );
    for (const { ofFloor } of results) expect(ofFloor).toBeGreaterThan(0);
    expect(process.env.CHAINRULE_DEVICE).not.toBe('cuda');
  }, 120_000);

  test('the limits of a device are measured', async () => {
    const gpu = await openGpu('cuda');
    const floors = await measureGpuFloors({ ...gpu, size: 16 }, [], () => {});
    for (const value of Object.values(floors.chainrule!)) expect(value).toBeGreaterThan(0);
  });
});
