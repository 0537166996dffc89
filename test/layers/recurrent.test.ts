import { describe, expect, test } from 'vitest';
import {
  type CellContext,
  compute,
  layers,
  NDArray,
  ops,
  RNNCell,
  setRandomSeed,
  type Tensor,
  trace,
} from '../../lib/index.js';
import { checkLayer, type LayerCase } from './check_layer.js';
import { numbers, walk } from './recurrent_reference.js';
import { dense, type Ref, ref } from './reference.js';

// Recurrent layers against Keras's formulas in float64 (test/ops/cases/recurrent.ts), and against each other: one op over
// the whole sequence, and the same cell step by step.

const flipTime = ({ data, shape }: Ref): Ref => {
  const [n, steps, width] = shape as [number, number, number];
  const at = (i: number) =>
    (Math.floor(i / (steps * width)) * steps + (steps - 1 - (Math.floor(i / width) % steps))) * width + (i % width);
  return ref(
    Array.from({ length: n * steps * width }, (_, i) => data[at(i)]!),
    shape,
  );
};

const joinLast = (a: Ref, b: Ref): Ref => {
  const [p, q] = [a.shape.at(-1)!, b.shape.at(-1)!];
  const rows = a.data.length / p;
  const data = Array.from({ length: rows }, (_, r) => [
    ...a.data.slice(r * p, (r + 1) * p),
    ...b.data.slice(r * q, (r + 1) * q),
  ]).flat();
  return ref(data, [...a.shape.slice(0, -1), p + q]);
};

const zip = (a: Ref, b: Ref, fn: (x: number, y: number) => number): Ref =>
  ref(
    a.data.map((value, i) => fn(value, b.data[i]!)),
    a.shape,
  );

/** As in Keras's guide, with one state and no bias. */
class MinimalCell extends RNNCell {
  readonly stateSize = 4;
  kernel!: ReturnType<RNNCell['addWeight']>;
  mixing!: ReturnType<RNNCell['addWeight']>;

  override build(shape: (number | null)[]): void {
    this.kernel = this.addWeight('kernel', [shape.at(-1)!, 4]);
    this.mixing = this.addWeight('recurrent_kernel', [4, 4]);
  }

  override call(x: Tensor, { states }: CellContext): [Tensor, Tensor[]] {
    const h = ops.tanh(ops.add(ops.matmul(x, this.kernel), ops.matmul(states[0]!, this.mixing)));
    return [h, [h]];
  }
}

const halves = (weights: Ref[]): [Ref[], Ref[]] => [
  weights.slice(0, weights.length / 2),
  weights.slice(weights.length / 2),
];

const cases: Record<string, LayerCase> = {
  'simple rnn': {
    make: () => layers.simpleRnn({ units: 5 }),
    input: [3, 4, 2],
    reference: ([x], weights) => walk('simpleRnn', x!, weights)[0]!,
    config: { units: 5, activation: 'tanh', return_sequences: false, unroll: false },
  },
  'lstm, last output': {
    make: () => layers.lstm({ units: 5 }),
    input: [3, 4, 2],
    reference: ([x], weights) => walk('lstm', x!, weights)[0]!,
    config: { units: 5, recurrent_activation: 'sigmoid', unit_forget_bias: true, zero_output_for_mask: false },
  },
  'lstm, sequence, backwards': {
    make: () => layers.lstm({ units: 9, returnSequences: true, goBackwards: true }),
    input: [2, 3, 3],
    reference: ([x], weights) => walk('lstm', x!, weights, { backwards: true })[1]!,
  },
  'lstm without bias': {
    make: () => layers.lstm({ units: 3, useBias: false, recurrentActivation: 'hardSigmoid', activation: 'softsign' }),
    input: [2, 4, 3],
    reference: ([x], weights) =>
      walk('lstm', x!, weights, { bias: false, activation: 'softsign', recurrentActivation: 'hardSigmoid' })[0]!,
  },
  'gru, reset after': {
    make: () => layers.gru({ units: 4, returnSequences: true }),
    input: [3, 4, 2],
    reference: ([x], weights) => walk('gru', x!, weights)[1]!,
    config: { reset_after: true },
  },
  'gru, reset before': {
    make: () => layers.gru({ units: 4, resetAfter: false }),
    input: [3, 4, 2],
    reference: ([x], weights) => walk('gru', x!, weights, { resetAfter: false })[0]!,
  },
  'rnn with a cell of its own': {
    make: () => new layers.RNN({ cell: new MinimalCell(), returnSequences: true }),
    input: [2, 3, 3],
    reference: ([x], weights) => walk('simpleRnn', x!, weights, { bias: false })[1]!,
  },
  'rnn with cells on top of each other': {
    make: () => layers.rnn({ cell: [layers.lstmCell({ units: 3 }), layers.gruCell({ units: 2 })], goBackwards: true }),
    input: [2, 3, 3],
    reference: ([x], weights) => {
      const lower = walk('lstm', x!, weights.slice(0, 3), { backwards: true })[1]!;
      return walk('gru', lower, weights.slice(3))[0]!;
    },
  },
  'bidirectional, concat': {
    make: () => layers.bidirectional({ layer: layers.lstm({ units: 3, returnSequences: true }) }),
    input: [2, 3, 2],
    reference: ([x], weights) => {
      const [forward, backward] = halves(weights);
      return joinLast(walk('lstm', x!, forward)[1]!, flipTime(walk('lstm', x!, backward, { backwards: true })[1]!));
    },
    config: { merge_mode: 'concat' },
  },
  'bidirectional, mul of last outputs': {
    make: () => layers.bidirectional({ layer: layers.simpleRnn({ units: 3 }), mergeMode: 'mul' }),
    input: [2, 3, 2],
    reference: ([x], weights) => {
      const [forward, backward] = halves(weights);
      const back = walk('simpleRnn', x!, backward, { backwards: true })[0]!;
      return zip(walk('simpleRnn', x!, forward)[0]!, back, (a, b) => a * b);
    },
  },
  'bidirectional, mean with a backward layer': {
    make: () =>
      layers.bidirectional({
        layer: layers.lstm({ units: 3 }),
        backwardLayer: layers.gru({ units: 3, goBackwards: true }),
        mergeMode: 'ave',
      }),
    input: [2, 3, 2],
    reference: ([x], weights) => {
      const back = walk('gru', x!, weights.slice(3), { backwards: true })[0]!;
      return zip(walk('lstm', x!, weights.slice(0, 3))[0]!, back, (a, b) => (a + b) / 2);
    },
  },
  'time distributed dense': {
    make: () => layers.timeDistributed({ layer: layers.dense({ units: 3, activation: 'tanh' }) }),
    input: [2, 3, 4],
    reference: ([x], [kernel, bias]) => dense(x!, kernel!, bias, Math.tanh),
  },
};

describe('forward, gradients, config, any batch', () => {
  layers.layerFamily.add(MinimalCell);
  test.each(Object.keys(cases))('%s', (name) => checkLayer(cases[name]!));
});

const holes = new NDArray(Uint8Array.of(1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0), [3, 4], 'bool');

describe('one op against step by step', () => {
  const cells = {
    simpleRnn: () => layers.simpleRnnCell({ units: 5, seed: 1 }),
    lstm: () => layers.lstmCell({ units: 5, seed: 1 }),
    gru: () => layers.gruCell({ units: 5, seed: 1 }),
    'gru, reset before': () => layers.gruCell({ units: 5, resetAfter: false, seed: 1 }),
  };

  test.each(
    Object.entries(cells).flatMap(([name, make]) =>
      [false, true].map((zeroOutputForMask) => ({ name, make, zeroOutputForMask })),
    ),
  )('$name, masked, zero outputs: $zeroOutputForMask', async ({ make, zeroOutputForMask }) => {
    setRandomSeed(3);
    const cell = make();
    const options = { returnSequences: true, returnState: true, zeroOutputForMask, goBackwards: true };
    const whole = layers.rnn({ cell, ...options });
    const stepped = layers.rnn({ cell, ...options });
    const states = [cell.stateSize].flat().map((_, k) => numbers([3, 5], 50 + k));
    const fused = cell.sequence.bind(cell);
    const both = await compute(() => {
      const call = (layer: typeof whole): Tensor[] =>
        layer.apply(numbers([3, 4, 2]), { mask: ops.cast(holes, 'bool'), initialState: states }) as unknown as Tensor[];
      const one = call(whole);
      cell.sequence = () => undefined;
      const other = call(stepped);
      cell.sequence = fused;
      return { one, other };
    });
    expect(both.one).toHaveLength(1 + states.length);
    for (const [i, array] of both.one.entries()) {
      expect(array.shape).toEqual(both.other[i]!.shape);
      // Four steps of a few dozen products each, all values below 2.
      for (const [k, value] of array.data.entries()) {
        expect(Math.abs(value - both.other[i]!.data[k]!)).toBeLessThan(4e-6);
      }
    }
  });

  test('an activation the engine does not fuse', async () => {
    const layer = layers.lstm({ units: 3, activation: 'elu' });
    const out = await compute(() => layer.apply(numbers([2, 4, 3])));
    const weights = (await layer.getWeights()).map((array) => ref(array.data, array.shape));
    expect(out.shape).toEqual([2, 3]);
    // The same weights with tanh give other numbers: the activation is in use.
    const [usual] = walk('lstm', ref(numbers([2, 4, 3]).data, [2, 4, 3]), weights);
    expect(Math.max(...out.data.map((value, i) => Math.abs(value - usual!.data[i]!)))).toBeGreaterThan(1e-4);
  });
});

describe('masks', () => {
  test('of an embedding reach the layer, and pass on with sequences only', async () => {
    const embedding = layers.embedding({ inputDim: 6, outputDim: 3, maskZero: true });
    const [sequence, last] = [layers.lstm({ units: 2, returnSequences: true }), layers.lstm({ units: 2 })];
    const masks = await compute(() => {
      const x = embedding.apply(new NDArray(Int32Array.of(1, 2, 0, 0), [1, 4], 'int32'));
      const [a, b] = [sequence.apply(x), last.apply(x)];
      return { with: a.mask!, without: ops.cast(b.mask === undefined ? 1 : 0, 'int32'), a, b };
    });
    expect(Array.from(masks.with.data)).toEqual([1, 1, 0, 0]);
    expect(masks.without.data[0]).toBe(1);
    const rows = masks.a.toNested() as unknown as number[][][];
    expect(rows[0]![2]).toEqual(rows[0]![1]);
  });

  test('bidirectional sequences are zero where nothing counts', async () => {
    const layer = layers.bidirectional({ layer: layers.gru({ units: 2, returnSequences: true }) });
    const out = await compute(() => layer.apply(numbers([3, 4, 2]), { mask: ops.cast(holes, 'bool') }));
    const data = out.toNested() as unknown as number[][][];
    data.forEach((row, n) => {
      row.forEach((step, s) => {
        const counts = holes.data[n * 4 + s] === 1;
        expect(step.every((value) => value === 0)).toBe(!counts);
      });
    });
  });
});

describe('dropout', () => {
  /** Reveals the masks: the output of a step is its masked input, or the masked state alone. */
  const reveal = async (options: { dropout?: number; recurrentDropout?: number }): Promise<number[][][]> => {
    setRandomSeed(11);
    const layer = layers.simpleRnn({
      units: 40,
      activation: 'linear',
      returnSequences: true,
      useBias: false,
      ...options,
    });
    layer.build([null, 3, 40]);
    const identity = new NDArray(
      Float32Array.from({ length: 1600 }, (_, i) => (i % 41 === 0 ? 1 : 0)),
      [40, 40],
    );
    const nothing = new NDArray(new Float32Array(1600), [40, 40]);
    await layer.setWeights(options.dropout ? [identity, nothing] : [nothing, identity]);
    const step = trace(({ x, h }: { x: Tensor; h: Tensor }) => [layer.apply(x, { training: true, initialState: h })]);
    const [out] = await step.run({
      x: new NDArray(new Float32Array(2 * 3 * 40).fill(1), [2, 3, 40]),
      h: new NDArray(new Float32Array(80).fill(1), [2, 40]),
    });
    return out!.toNested() as unknown as number[][][];
  };

  test('of the input is the same for all steps of a sequence, and differs between rows', async () => {
    const rows = await reveal({ dropout: 0.5 });
    for (const row of rows) {
      expect(new Set(row[0])).toEqual(new Set([0, 2]));
      expect(row[1]).toEqual(row[0]);
      expect(row[2]).toEqual(row[0]);
    }
    expect(rows[0]![0]).not.toEqual(rows[1]![0]);
  });

  test('of the state is the same for all steps, too', async () => {
    for (const row of await reveal({ recurrentDropout: 0.5 })) {
      expect(new Set(row[0])).toEqual(new Set([0, 2]));
      expect(row[1]).toEqual(row[0]!.map((value) => value * 2));
      expect(row[2]).toEqual(row[0]!.map((value) => value * 4));
    }
  });

  test.each(['lstm', 'gru'] as const)('%s draws a mask per gate with recurrent dropout', async (kind) => {
    setRandomSeed(5);
    const layer = layers[kind]({ units: 4, dropout: 0.5, recurrentDropout: 0.5 });
    const run = trace(({ x }: { x: Tensor }) => ({
      rest: layer.apply(x),
      dropped: layer.apply(x, { training: true }),
    }));
    const [first, second] = [await run.run({ x: numbers([2, 3, 5]) }), await run.run({ x: numbers([2, 3, 5]) })];
    expect(first.rest.data).toEqual(second.rest.data);
    expect(first.dropped.data).not.toEqual(first.rest.data);
    expect(first.dropped.data).not.toEqual(second.dropped.data);
    expect(first.dropped.data.every(Number.isFinite)).toBe(true);
  });
});
