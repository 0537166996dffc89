import { trace } from '../../graph/index.js';
import * as ops from '../../ops/index.js';
import { callContender, type Factors, type Unit, type Workload } from '../workload.js';
import { residents, room } from './resident.js';

export type Form = 'nn' | 'nt' | 'tn';

/** So much arithmetic in one call that what a call costs vanishes: a few milliseconds of a big GPU. */
const FLOP_PER_CALL = 1e13;
const MOST = 256;

/**
 * Products [m, k] x [k, n] of matrices that are on the device, into others there: many in one call, with the first factor and
 * the result their own, so that none can be left out. What depends on weights alone is computed once, so each call changes the
 * second factor's sign. torch_gpu.py does the same and reads the sizes from the name.
 */
export function product(factors: Factors, form: Form, m: number, n: number, k: number, calls?: number): Unit {
  const flop = 2 * m * n * k;
  const count = calls ?? Math.max(2, Math.min(MOST, Math.ceil(FLOP_PER_CALL / flop)));
  const stored = factors === 'bf16' ? 'bfloat16' : 'float32';
  return {
    name: `${factors}-${form}-${m}x${n}x${k}`,
    what: `one product, ${factors === 'bf16' ? 'factors and result bfloat16' : 'float32, factors in tf32'}`,
    flop,
    bytes: (factors === 'bf16' ? 2 : 4) * (m * k + k * n + m * n),
    factors,
    contender: () =>
      callContender(async () => {
        const lefts = await residents('left', count, form === 'tn' ? [k, m] : [m, k], stored);
        const [right] = await residents('right', 1, form === 'nt' ? [n, k] : [k, n], stored);
        const results = room('product', count, [m, n], stored);
        const options = { transposeA: form === 'tn', transposeB: form === 'nt' };
        const step = trace(() => {
          right!.assign(ops.negative(right!.read()));
          lefts.forEach((left, i) => {
            results[i]!.assign(ops.matmul(left.read(), right!.read(), options));
          });
          return [];
        });
        return { call: () => step.run({}), units: count };
      }),
  };
}

const forms = ['nn', 'nt', 'tn'] as const;

export const gpuProducts: Workload = {
  id: 'G1',
  name: 'products on a GPU',
  units: [
    ...([4096, 8192] as const).flatMap((n) => forms.map((form) => product('bf16', form, n, n, n))),
    ...forms.map((form) => product('tf32', form, 4096, 4096, 4096)),
    ...(['bf16', 'tf32'] as const).flatMap((factors) =>
      [64, 128, 256, 512].flatMap((m) => forms.map((form) => product(factors, form, m, 4096, 4096))),
    ),
  ],
};
