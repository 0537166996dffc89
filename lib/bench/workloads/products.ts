import { type Tensor, trace } from '../../graph/index.js';
import * as layers from '../../layers/index.js';
import { sequential } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import * as ops from '../../ops/index.js';
import { uniform } from '../data.js';
import { callContender, type Unit, type Workload } from '../workload.js';
import { withFixedWeights } from './models.js';

/** One product of square matrices; only a corner of the result comes back, as peers write into memory they keep. */
function product(kind: 'nn' | 'nt' | 'tn', n: number): Unit {
  return {
    name: `${kind}${n}`,
    what: `one ${n} x ${n} product`,
    flop: 2 * n ** 3,
    contender: () =>
      callContender(async () => {
        const a = new NDArray(uniform(1, n, n), [n, n]);
        const b = new NDArray(uniform(2, n, n), [n, n]);
        const options = { transposeA: kind === 'tn', transposeB: kind === 'nt' };
        const corner = trace(
          (x: { a: Tensor; b: Tensor }) => ops.slice(ops.matmul(x.a, x.b, options), [0, 0], [1, 1]),
          { batch: false },
        );
        return { call: () => corner.run({ a, b }) };
      }),
  };
}

/** The layer on a few rows from the calling thread: where onnxruntime-node, too, runs a session. */
function denseInference(rows: number): Unit {
  return {
    name: `m${rows}`,
    what: `Dense(1024) of ${rows} ${rows === 1 ? 'row' : 'rows'} of 1024`,
    flop: 2 * rows * 1024 ** 2,
    bytes: 4 * (1024 ** 2 + 1024 + 2 * rows * 1024),
    from: 'cache',
    contender: () =>
      callContender(async () => {
        const model = await withFixedWeights(sequential([layers.dense({ units: 1024, inputShape: [1024] })]));
        const x = new NDArray(uniform(1, rows, 1024), [rows, 1024]);
        const [row, out] = [uniform(1, 1024), new Float32Array(1024)];
        return {
          call: () => {
            if (rows > 1) model.predictSync(x);
            else model.predictSync(row, out);
          },
        };
      }),
  };
}

export const matrixProducts: Workload = {
  id: 'W1',
  name: 'SGEMM',
  units: [512, 1024, 2048].flatMap((n) => (['nn', 'nt', 'tn'] as const).map((kind) => product(kind, n))),
};

export const layerInference: Workload = {
  id: 'W2',
  name: 'Dense inference',
  units: [1, 4, 8, 16, 64].map(denseInference),
};
