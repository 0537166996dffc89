import { type Tensor, trace } from '../../graph/index.js';
import type { Model } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import * as ops from '../../ops/index.js';
import type { Contender } from '../contender.js';
import { integers, uniform } from '../data.js';
import { timeBlock } from '../measure.js';
import { STEPS_PER_FIT, trainingContender, type Unit, type Workload } from '../workload.js';
import { convolutionalNetwork, denseNetwork } from './models.js';

/** A contender whose unit is one call. */
function callContender(prepare: () => Promise<() => Promise<unknown> | undefined>): Contender {
  let call: () => Promise<unknown> | undefined;
  return {
    name: 'chainrule',
    async prepare() {
      call = await prepare();
      await call();
      return null;
    },
    block: (seconds) => timeBlock(() => call() as Promise<void> | undefined, seconds),
  };
}

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
        return () => corner.run({ a, b });
      }),
  };
}

function tabular(rows: number): Unit {
  const batch = {
    x: new NDArray(uniform(1, rows, 32), [rows, 32]),
    y: new NDArray(Float32Array.from(integers(2, 2, rows)), [rows, 1]),
  };
  return {
    name: `tr${rows}`,
    what: `a training step of ${rows} rows`,
    flop: rows * 65_920,
    contender: () =>
      trainingContender({
        build: () => denseNetwork([32, 128, 64, 1], 'binaryCrossentropy'),
        batch,
        steps: STEPS_PER_FIT,
      }),
  };
}

const images = () => new NDArray(uniform(1, 128, 28, 28, 1), [128, 28, 28, 1]);
const classes = () => new NDArray(integers(2, 10, 128), [128]);

async function quickstartEpoch(): Promise<() => Promise<unknown>> {
  const model = await denseNetwork([20, 64, 1], 'binaryCrossentropy', ['accuracy']);
  const x = new NDArray(uniform(1, 10_000, 20), [10_000, 20]);
  const y = new NDArray(Float32Array.from(integers(2, 2, 10_000)), [10_000, 1]);
  return () => model.fit(x, y, { batchSize: 32, epochs: 1, verbose: 0 });
}

async function tinyPrediction(): Promise<() => undefined> {
  const model: Model = await denseNetwork([8, 16, 16, 3], 'sparseCategoricalCrossentropy');
  const [row, out] = [new Float32Array(8), new Float32Array(3)];
  await model.warmup({ batchSizes: [1] });
  return () => {
    model.predictSync(row, out);
  };
}

/** The workloads of the benchmark so far; the numbers are those of the project's benchmark plan. */
export const workloads: readonly Workload[] = [
  {
    id: 'W1',
    name: 'SGEMM',
    units: [512, 1024].flatMap((n) => (['nn', 'nt', 'tn'] as const).map((kind) => product(kind, n))),
  },
  { id: 'W3', name: 'tabular MLP, training', units: [tabular(32), tabular(128)] },
  {
    id: 'W4',
    name: 'MNIST MLP, training',
    units: [
      {
        name: 'tr',
        what: 'a training step of 128 rows',
        flop: 308.2e6,
        contender: () =>
          trainingContender({
            build: () => denseNetwork([784, 512, 256, 10], 'sparseCategoricalCrossentropy'),
            batch: { x: new NDArray(uniform(1, 128, 784), [128, 784]), y: classes() },
            steps: 16,
          }),
      },
    ],
  },
  {
    id: 'W5',
    name: 'MNIST CNN',
    units: [
      {
        name: 'tr',
        what: 'a training step of 128 images',
        flop: 1.825e9,
        contender: () =>
          trainingContender({ build: convolutionalNetwork, batch: { x: images(), y: classes() }, steps: 8 }),
      },
      {
        name: 'inf',
        what: 'predictions of 128 images',
        flop: 0.6249e9,
        contender: () =>
          callContender(async () => {
            const model = await convolutionalNetwork(false);
            const x = images();
            return () => model.predict(x, { batchSize: 128 });
          }),
      },
    ],
  },
  {
    id: 'W15',
    name: 'tiny MLP, predictSync',
    units: [{ name: 'predict', what: 'one prediction of one row', contender: () => callContender(tinyPrediction) }],
  },
  {
    id: 'W20',
    name: 'Keras quickstart, fit',
    units: [
      {
        name: 'fit',
        what: 'one epoch of fit over 10,000 rows',
        flop: 55.04e6,
        contender: () => callContender(quickstartEpoch),
      },
    ],
  },
];
