import { describe, expect, test } from 'vitest';
import { NDArray, type Optimizer, optimizers, schedules, type Tensor, trace, Variable } from '../../lib/index.js';

const start = [0.5, -1.5, 2];
const grads = [
  [0.1, -0.2, 0.3],
  [0.5, 0.1, -0.4],
  [-0.3, 0.2, 0.05],
  [0.02, -0.6, 0.1],
];

/** The weights after each step. */
async function trajectory(optimizer: Optimizer, prepare?: (variable: Variable) => void): Promise<number[][]> {
  const w = new Variable('w', [3], { initialValue: new NDArray(Float32Array.from(start)) });
  prepare?.(w);
  const step = trace(
    ({ g }: { g: Tensor }) => {
      optimizer.apply([g], [w]);
      return w.read();
    },
    { batch: false },
  );
  const path: number[][] = [];
  for (const g of grads) path.push(Array.from((await step.run({ g })).data));
  return path;
}

/** A plain float64 rule: the new weight from weight, gradient, state of that weight and step (from 1). */
type Rule = (w: number, g: number, s: Record<string, number>, t: number) => number;

function expected(rule: Rule): number[][] {
  const w = [...start];
  const states = w.map(() => ({}) as Record<string, number>);
  return grads.map((row, k) => w.map((_, i) => (w[i] = rule(w[i]!, row[i]!, states[i]!, k + 1))));
}

function follows(got: number[][], want: number[][]): void {
  got.forEach((row, k) => {
    row.forEach((value, i) => {
      expect(value, `step ${k}, element ${i}`).toBeCloseTo(want[k]![i]!, 5);
    });
  });
}

const adam =
  (lr: number, amsgrad = false): Rule =>
  (w, g, s, t) => {
    s.m = (s.m ?? 0) + (g - (s.m ?? 0)) * 0.1;
    s.v = (s.v ?? 0) + (g * g - (s.v ?? 0)) * 0.001;
    s.peak = Math.max(s.peak ?? 0, s.v);
    const alpha = (lr * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t);
    return w - (alpha * s.m) / (Math.sqrt(amsgrad ? s.peak : s.v) + 1e-7);
  };
const momentum =
  (lr: number, mu: number, nesterov: boolean): Rule =>
  (w, g, s) => {
    s.m = mu * (s.m ?? 0) - lr * g;
    return nesterov ? w + mu * s.m - lr * g : w + s.m;
  };

describe('trajectories against plain formulas', () => {
  const cases: [string, () => Optimizer, Rule][] = [
    ['SGD', () => optimizers.sgd({ learningRate: 0.1 }), (w, g) => w - 0.1 * g],
    ['SGD with momentum', () => optimizers.sgd({ learningRate: 0.1, momentum: 0.9 }), momentum(0.1, 0.9, false)],
    [
      'SGD nesterov',
      () => optimizers.sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true }),
      momentum(0.1, 0.9, true),
    ],
    ['Adam', () => optimizers.adam({ learningRate: 0.1 }), adam(0.1)],
    ['Adam amsgrad', () => optimizers.adam({ learningRate: 0.1, amsgrad: true }), adam(0.1, true)],
    [
      'AdamW',
      () => optimizers.adamW({ learningRate: 0.1, weightDecay: 0.05 }),
      (w, g, s, t) => adam(0.1)(w - w * 0.05 * 0.1, g, s, t),
    ],
    [
      'RMSprop',
      () => optimizers.rmsprop({ learningRate: 0.1 }),
      (w, g, s) => {
        s.v = 0.9 * (s.v ?? 0) + 0.1 * g * g;
        return w - (0.1 * g) / Math.sqrt(s.v + 1e-7);
      },
    ],
    [
      'Adagrad',
      () => optimizers.adagrad({ learningRate: 0.1 }),
      (w, g, s) => {
        s.a = (s.a ?? 0.1) + g * g;
        return w - (0.1 * g) / Math.sqrt(s.a + 1e-7);
      },
    ],
    [
      'Lion',
      () => optimizers.lion({ learningRate: 0.1 }),
      (w, g, s) => {
        const m = s.m ?? 0;
        s.m = 0.99 * m + 0.01 * g;
        return w - 0.1 * Math.sign(0.9 * m + 0.1 * g);
      },
    ],
    [
      'a schedule',
      () =>
        optimizers.sgd({
          learningRate: schedules.exponentialDecay({ initialLearningRate: 0.1, decaySteps: 2, decayRate: 0.5 }),
        }),
      (w, g, _, t) => w - 0.1 * 0.5 ** ((t - 1) / 2) * g,
    ],
    [
      'clipvalue',
      () => optimizers.sgd({ learningRate: 0.1, clipvalue: 0.15 }),
      (w, g) => w - 0.1 * Math.max(-0.15, Math.min(0.15, g)),
    ],
  ];
  test.each(cases)('%s', async (_, make, rule) => follows(await trajectory(make()), expected(rule)));

  test('clipnorm and globalClipnorm scale by the norm', async () => {
    const scaled = grads.map((row) => {
      const norm = Math.hypot(...row);
      return row.map((g) => (g * 0.3) / Math.max(norm, 0.3));
    });
    const w = [...start];
    const want = scaled.map((row) => w.map((_, i) => (w[i] = w[i]! - 0.1 * row[i]!)));
    follows(await trajectory(optimizers.sgd({ learningRate: 0.1, clipnorm: 0.3 })), want);
    follows(await trajectory(optimizers.sgd({ learningRate: 0.1, globalClipnorm: 0.3 })), want);
  });

  test('gradient accumulation steps with the mean of two', async () => {
    const path = await trajectory(optimizers.sgd({ learningRate: 0.1, gradientAccumulationSteps: 2 }));
    const after = start.map((w, i) => w - (0.1 * (grads[0]![i]! + grads[1]![i]!)) / 2);
    follows([path[0]!, path[1]!, path[2]!], [start, after, after]);
  });

  test('a constraint holds after every step', async () => {
    const path = await trajectory(optimizers.sgd({ learningRate: 1 }), (w) => {
      w.constraint = { apply: (x) => x.abs() };
    });
    expect(path.flat().every((value) => value >= 0)).toBe(true);
  });
});

describe('options', () => {
  test('an unknown one suggests the nearest', () => {
    expect(() => optimizers.adam({ learningrate: 0.1 } as never)).toThrow(/did you mean "learningRate"/);
  });
  test('only one kind of clipping', () => {
    expect(() => optimizers.adam({ clipnorm: 1, clipvalue: 1 })).toThrow(/only one/);
  });
  test('the rate of a schedule cannot be set', () => {
    const optimizer = optimizers.sgd({
      learningRate: schedules.cosineDecay({ initialLearningRate: 1, decaySteps: 10 }),
    });
    expect(() => {
      optimizer.learningRate = 0.1;
    }).toThrow(/is a schedule/);
  });
  test('config round trip', () => {
    const optimizer = optimizers.adamW({
      learningRate: schedules.exponentialDecay({ initialLearningRate: 0.1, decaySteps: 10, decayRate: 0.9 }),
      beta1: 0.8,
      name: 'mine',
    });
    const written = JSON.parse(JSON.stringify(optimizers.serialize(optimizer)));
    expect(written.config).toMatchObject({
      beta_1: 0.8,
      weight_decay: 0.004,
      learning_rate: { class_name: 'ExponentialDecay' },
    });
    expect(JSON.parse(JSON.stringify(optimizers.serialize(optimizers.get(written))))).toEqual(written);
  });
});
