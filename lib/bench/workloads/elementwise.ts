import { gelu } from '../../activations/index.js';
import { gradients, type Tensor, trace } from '../../graph/index.js';
import { NDArray } from '../../ndarray.js';
import * as ops from '../../ops/index.js';
import { uniform } from '../data.js';
import { callContender, type Unit, type Workload } from '../workload.js';

const [ROWS, WIDTH] = [8192, 1024];
const BYTES = 4 * ROWS * WIDTH;

type Inputs = { x: Tensor; dy: Tensor; gamma: Tensor; beta: Tensor };

const functions: Readonly<Record<string, { apply(inputs: Inputs): Tensor; parameters?: true }>> = {
  softmax: { apply: ({ x }) => ops.softmax(x) },
  layernorm: {
    apply: ({ x, gamma, beta }) => ops.layerNormalization(x, { gamma, beta, epsilon: 1e-3 }),
    parameters: true,
  },
  gelu: { apply: ({ x }) => gelu(x) },
  exp: { apply: ({ x }) => ops.exp(x) },
};

/** Results stay in the engine, as they do between the layers of a model: only corners come back. */
const corner = (x: Tensor) => (x.rank === 2 ? ops.slice(x, [0, 0], [1, 1]) : ops.slice(x, [0], [1]));

function passes(name: string, backward: boolean): Unit {
  const { apply, parameters } = functions[name]!;
  return {
    name: `${name}-fwd${backward ? 'bwd' : ''}`,
    what: `${name}${backward ? ' and its gradients' : ''} on ${ROWS} x ${WIDTH}`,
    bytes: (backward ? 5 : 2) * BYTES,
    contender: () =>
      callContender(async () => {
        const feed = {
          x: new NDArray(
            uniform(1, ROWS, WIDTH).map((value) => 4 * value),
            [ROWS, WIDTH],
          ),
          dy: new NDArray(uniform(2, ROWS, WIDTH), [ROWS, WIDTH]),
          gamma: new NDArray(new Float32Array(WIDTH).fill(1), [WIDTH]),
          beta: new NDArray(new Float32Array(WIDTH), [WIDTH]),
        };
        const pass = trace(
          (inputs: Inputs) => {
            const y = apply(inputs);
            if (!backward) return [corner(y)];
            const wrt = parameters ? [inputs.x, inputs.gamma, inputs.beta] : [inputs.x];
            return [y, ...gradients(y, wrt, inputs.dy)].map((tensor) => corner(tensor!));
          },
          { batch: false },
        );
        return { call: () => pass.run(feed) };
      }),
  };
}

export const rowsAndElements: Workload = {
  id: 'W17',
  name: 'softmax, layer norm, GELU, exp',
  units: Object.keys(functions).flatMap((name) =>
    name === 'exp' ? [passes(name, false)] : [passes(name, false), passes(name, true)],
  ),
};
