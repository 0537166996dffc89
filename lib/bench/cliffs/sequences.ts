import type { Tensor } from '../../graph/index.js';
import * as layers from '../../layers/index.js';
import * as ops from '../../ops/index.js';
import type { Family, Point } from './point.js';
import { point } from './sizes.js';

const units = [7, 8, 9, 15, 16, 17, 24, 32, 33, 48, 64, 65, 100, 127, 128, 129, 200, 256, 260];
const recurrent = (name: string, gates: number, make: (units: number) => layers.Layer): Family => ({
  name: `${name}, 20 steps of 32`,
  trains: true,
  points: units.map((n) =>
    point({
      label: `${n}`,
      input: [20, 32],
      output: 20 * n,
      weights: gates * n * (n + 32),
      flopPerRow: 2 * 20 * gates * n * (n + 32),
      rows: 32,
      make: () => make(n),
    }),
  ),
});

function attention(label: string, size: number, length: number, causal = false): Point {
  const heads = 4;
  const row = length * heads * size;
  return point({
    label,
    input: [length, heads, 3 * size],
    output: row,
    flopPerRow: 4 * heads * length * length * size * (causal ? 0.5 : 1),
    make: () => (x: Tensor) => {
      const [query, key, value] = ops.split(x, 3, -1) as [Tensor, Tensor, Tensor];
      return ops.dotProductAttention(query, key, value, { isCausal: causal });
    },
  });
}
export const sequenceFamilies: Family[] = [
  recurrent('lstm', 4, (n) => layers.lstm({ units: n, returnSequences: true })),
  recurrent('gru', 3, (n) => layers.gru({ units: n, returnSequences: true })),
  recurrent('simpleRnn', 1, (n) => layers.simpleRnn({ units: n, returnSequences: true })),
  {
    name: 'attention of 64, head',
    trains: true,
    points: [8, 15, 16, 17, 24, 32, 33, 48, 64, 65, 80, 96, 127, 128, 129].map((n) => attention(`${n}`, n, 64)),
  },
  {
    name: 'attention, head of 64, length',
    trains: true,
    points: [1, 2, 7, 8, 16, 31, 32, 33, 63, 64, 65, 100, 128, 129, 256, 257].map((n) => attention(`${n}`, 64, n)),
  },
  {
    name: 'causal attention, head of 64, length',
    trains: true,
    points: [8, 16, 31, 32, 33, 63, 64, 65, 100, 128, 129, 256, 257].map((n) => attention(`${n}`, 64, n, true)),
  },
  {
    name: 'embedding of 1000 rows',
    trains: true,
    points: [1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 33, 64, 65, 128].map((n) =>
      point({
        label: `${n}`,
        input: [16],
        output: 16 * n,
        ids: 1000,
        weights: 1000 * n,
        make: () => layers.embedding({ inputDim: 1000, outputDim: n }),
      }),
    ),
  },
];
