import { NDArray } from '../../ndarray.js';
import { integers, uniform } from '../data.js';
import { callContender, type Ready, type Workload } from '../workload.js';
import { denseNetwork } from './models.js';

async function quickstartEpoch(): Promise<Ready> {
  const model = await denseNetwork([20, 64, 1], 'binaryCrossentropy', ['accuracy']);
  const x = new NDArray(uniform(1, 10_000, 20), [10_000, 20]);
  const y = new NDArray(Float32Array.from(integers(2, 2, 10_000)), [10_000, 1]);
  return { call: () => model.fit(x, y, { batchSize: 32, epochs: 1, verbose: 0 }) };
}

async function digitsEpoch(): Promise<Ready> {
  const model = await denseNetwork([784, 512, 256, 10], 'sparseCategoricalCrossentropy', ['accuracy']);
  const x = new NDArray(uniform(1, 60_000, 784), [60_000, 784]);
  const y = new NDArray(integers(2, 10, 60_000), [60_000]);
  return { call: () => model.fit(x, y, { batchSize: 128, epochs: 1, verbose: 0 }) };
}

export const quickstartFit: Workload = {
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
};

export const digitsFit: Workload = {
  id: 'W21',
  name: 'MNIST-size fit',
  units: [
    {
      name: 'fit',
      what: 'one epoch of fit over 60,000 rows of 784',
      flop: 144.47e9,
      contender: () => callContender(digitsEpoch),
    },
  ],
};
