import { trace, Variable, valueAndGrad } from '../../graph/index.js';
import * as layers from '../../layers/index.js';
import { type DtypePolicy, getDtypePolicy, setDtypePolicy } from '../../layers/precision.js';
import { sparseCategoricalCrossentropy } from '../../losses/index.js';
import type { Model } from '../../models/index.js';
import type { AnyArray } from '../../ndarray.js';
import { adam } from '../../optimizers/index.js';
import { callContender, trainingContender, type Unit, type Workload } from '../workload.js';
import { digitsConvnet } from './convolutional.js';
import { batchOf, denseNetwork } from './models.js';
import { sequenceClassifier } from './recurrent.js';

async function under<T>(policy: DtypePolicy, build: () => Promise<T>): Promise<T> {
  const before = getDtypePolicy();
  setDtypePolicy(policy);
  try {
    return await build();
  } finally {
    setDtypePolicy(before);
  }
}

type Network = (withDropout: boolean) => Promise<Model>;

const networks: Readonly<Record<string, { build: Network; shape: readonly number[]; flop: number; what: string }>> = {
  mlp: {
    build: () => denseNetwork([784, 512, 256, 10], 'sparseCategoricalCrossentropy'),
    shape: [128, 784],
    flop: 308.2e6,
    what: '128 rows of W4',
  },
  cnn: { build: digitsConvnet, shape: [128, 28, 28, 1], flop: 1.825e9, what: '128 images of W5' },
};

function smallSteps(name: string, factors: 'tf32' | 'bf16'): Unit {
  const { build, shape, flop, what } = networks[name]!;
  return {
    name: `${name}-${factors}`,
    what: `a training step of ${what}, ${factors === 'bf16' ? 'mixedBfloat16' : 'float32'}`,
    flop,
    factors,
    contender: () =>
      trainingContender({
        build: (withDropout) => under(factors === 'bf16' ? 'mixedBfloat16' : 'float32', () => build(withDropout)),
        batch: () => batchOf(shape, 10),
        steps: 16,
      }),
  };
}

export const gpuTraining: Workload = {
  id: 'G2',
  name: 'small training steps on a GPU',
  units: (['tf32', 'bf16'] as const).flatMap((factors) =>
    Object.keys(networks).map((name) => smallSteps(name, factors)),
  ),
};

export interface Sequences {
  rows: number;
  length: number;
  width: number;
  units: number;
}

const classifier = ({ length, width, units }: Sequences) =>
  sequenceClassifier(layers.lstm({ units, inputShape: [length, width] }));

/** The step that `fit` runs, on a batch that is on the device: nothing travels. */
async function residentStep(sizes: Sequences, batch: { x: AnyArray; y: AnyArray }) {
  const model = await classifier(sizes);
  const weights = model.trainableWeights;
  const optimizer = adam();
  const loss = sparseCategoricalCrossentropy({ fromLogits: true });
  const resident = (name: 'x' | 'y') =>
    new Variable(name, batch[name].shape, { dtype: batch[name].dtype, initialValue: batch[name], trainable: false });
  const [x, y] = [resident('x'), resident('y')];
  return trace(() => {
    const { value, grads } = valueAndGrad(
      () => loss.apply(y.read(), model.apply(x.read(), { training: true })),
      weights,
    );
    optimizer.apply(grads, weights);
    return value;
  });
}

/** W9 with more rows, by `fit` and as a step alone. */
export function lstmUnits(sizes: Sequences): Unit[] {
  const { rows, length, width, units } = sizes;
  const what = `${rows} sequences of ${length} x ${width}, ${units} units`;
  const flop = 3 * 2 * rows * length * (width + units) * 4 * units;
  const batch = () => batchOf([rows, length, width], 2);
  return [
    {
      name: 'fit',
      what: `a training step of ${what}, by fit`,
      flop,
      factors: 'tf32',
      contender: () => trainingContender({ build: () => classifier(sizes), batch, steps: 8 }),
    },
    {
      name: 'step',
      what: `the same on a batch that is on the device`,
      flop,
      factors: 'tf32',
      contender: () =>
        callContender(async () => {
          const plain = await residentStep(sizes, batch());
          for (let step = 0; step < 10; step++) await plain.run({});
          const loss = await plain.run({});
          return { call: () => plain.run({}), loss: loss.data[0]! };
        }),
    },
  ];
}

export const gpuLstm: Workload = {
  id: 'G7',
  name: 'LSTM, training on a GPU',
  units: lstmUnits({ rows: 256, length: 100, width: 128, units: 128 }),
};
