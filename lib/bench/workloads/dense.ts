import { NDArray } from '../../ndarray.js';
import { uniform } from '../data.js';
import { STEPS_PER_FIT, trainingContender, type Unit, type Workload } from '../workload.js';
import { batchOf, denseNetwork } from './models.js';

function tabular(rows: number): Unit {
  return {
    name: `tr${rows}`,
    what: `a training step of ${rows} rows`,
    flop: rows * 65_920,
    contender: () =>
      trainingContender({
        build: () => denseNetwork([32, 128, 64, 1], 'binaryCrossentropy'),
        batch: () => batchOf([rows, 32], 1),
        steps: STEPS_PER_FIT,
      }),
  };
}

export const tabularNetwork: Workload = {
  id: 'W3',
  name: 'tabular MLP, training',
  units: [tabular(32), tabular(128)],
};

export const digitsNetwork: Workload = {
  id: 'W4',
  name: 'MNIST MLP, training',
  units: [
    {
      name: 'tr',
      what: 'a training step of 128 rows',
      flop: 308.2e6,
      bytes: 15_045_912,
      from: 'cache',
      contender: () =>
        trainingContender({
          build: () => denseNetwork([784, 512, 256, 10], 'sparseCategoricalCrossentropy'),
          batch: () => batchOf([128, 784], 10),
          steps: 16,
        }),
    },
  ],
};

export const autoencoder: Workload = {
  id: 'W14',
  name: 'dense autoencoder, training',
  units: [
    {
      name: 'tr',
      what: 'a training step of 256 rows',
      flop: 564e6,
      bytes: 12_209_344,
      from: 'cache',
      contender: () =>
        trainingContender({
          build: () => denseNetwork([784, 256, 64, 256, 784], 'meanSquaredError'),
          batch: () => {
            const x = new NDArray(
              uniform(1, 256, 784).map((value) => value * 0.5 + 0.5),
              [256, 784],
            );
            return { x, y: x };
          },
          steps: 16,
        }),
    },
  ],
};
