import { trace, Variable } from '../../graph/index.js';
import { NDArray } from '../../ndarray.js';
import { adam, type Optimizer, sgd } from '../../optimizers/index.js';
import { uniform } from '../data.js';
import { callContender, type Unit, type Workload } from '../workload.js';

const TENSORS = 50;

/** Weights and gradients that live in the engine, and one traced update of all of them. */
function update(name: string, millions: number, bytesPerWeight: number, make: () => Optimizer): Unit {
  const size = (millions * 1e6) / TENSORS;
  const variable = (what: string, seed: number, trainable: boolean) =>
    new Variable(what, [size], { initialValue: new NDArray(uniform(seed, size), [size]), trainable });
  return {
    name: `${name}${millions}M`,
    what: `one update of ${millions} million weights in ${TENSORS} tensors`,
    bytes: millions * 1e6 * bytesPerWeight,
    contender: () =>
      callContender(async () => {
        const weights = Array.from({ length: TENSORS }, (_, i) => variable(`weight_${i}`, i, true));
        const grads = Array.from({ length: TENSORS }, (_, i) => variable(`gradient_${i}`, 100 + i, false));
        const optimizer = make();
        const step = trace(() => {
          optimizer.apply(
            grads.map((gradient) => gradient.read()),
            weights,
          );
          return optimizer.iteration.read();
        });
        return { call: () => step.run({}) };
      }),
  };
}

export const optimizerAlone: Workload = {
  id: 'W16',
  name: 'optimizer',
  units: [10, 25].flatMap((millions) => [
    update('adam', millions, 28, () => adam()),
    update('sgdm', millions, 20, () => sgd({ learningRate: 0.01, momentum: 0.9 })),
  ]),
};
