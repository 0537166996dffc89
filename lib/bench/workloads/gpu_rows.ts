import { gelu } from '../../activations/index.js';
import { type Tensor, trace, Variable } from '../../graph/index.js';
import * as ops from '../../ops/index.js';
import { dropout } from '../../ops/random.js';
import { adam } from '../../optimizers/index.js';
import { callContender, type Unit, type Workload } from '../workload.js';
import { residents, room } from './resident.js';

type Rows = (x: Tensor, gamma: Variable, beta: Variable) => Tensor;

/** Their results are numbers that they can be applied to again and again. */
const functions: Readonly<Record<string, Rows>> = {
  layernorm: (x, gamma, beta) => ops.layerNormalization(x, { gamma, beta, epsilon: 1e-3 }),
  softmax: (x) => ops.softmax(x),
  dropout: (x) => dropout(x, 0.5),
  gelu: (x) => gelu(ops.add(x, 0.1)),
};

/** So many that what a call costs vanishes. */
const PAIRS = 16;

/**
 * From one matrix on the device into another and back (dropout: not back, GELU: in place): what depends only on variables that a
 * program does not write would be computed once.
 */
export function rowsUnit(name: string, rows: number, width: number): Unit {
  return {
    name: `${name}-${rows}x${width}`,
    what: `${name} on ${rows} x ${width}`,
    bytes: 2 * 4 * rows * width,
    contender: () =>
      callContender(async () => {
        const inputs = await residents('input', PAIRS, [rows, width]);
        const results = room('result', PAIRS, [rows, width]);
        const back = name !== 'dropout' && name !== 'gelu';
        const [gamma, beta] = [1, 0].map((initialValue) => new Variable('gamma', [width], { initialValue }));
        const pass = trace(() => {
          inputs.forEach((input, i) => {
            const apply = (x: Tensor) => functions[name]!(x, gamma!, beta!);
            const target = name === 'gelu' ? input : results[i]!;
            target.assign(apply(input.read()));
            if (back) input.assign(apply(results[i]!.read()));
          });
          return [];
        });
        return { call: () => pass.run({}), units: back ? 2 * PAIRS : PAIRS };
      }),
  };
}

const TENSORS = 50;

/** Weights and gradients on the device, and one update of them all. */
export function adamUnit(millions: number): Unit {
  const size = (millions * 1e6) / TENSORS;
  return {
    name: `adam-${millions}M`,
    what: `one update of ${millions} million weights in ${TENSORS} tensors`,
    bytes: millions * 1e6 * 28,
    contender: () =>
      callContender(async () => {
        const weights = await residents('weight', TENSORS, [size]);
        const grads = await residents('gradient', TENSORS, [size]);
        for (const weight of weights) weight.trainable = true;
        const optimizer = adam();
        const step = trace(() => {
          optimizer.apply(
            grads.map((gradient) => gradient.read()),
            weights,
          );
          return [];
        });
        return { call: () => step.run({}) };
      }),
  };
}

export const gpuRows: Workload = {
  id: 'G6',
  name: 'what moves memory, on a GPU',
  units: [adamUnit(100), ...Object.keys(functions).map((name) => rowsUnit(name, 65_536, 1024))],
};
