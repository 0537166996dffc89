import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Callback, callbacks, type Logs, optimizers } from '../../lib/index.js';
import { classifier, points } from '../models/data.js';

const { x, y } = points(64);
const quiet = { verbose: 0 } as const;
/** Puts a number into the logs, epoch by epoch. */
const pretend = (values: readonly number[]) => ({
  onEpochEnd: (epoch: number, logs: Logs) => {
    logs.val_loss = values[epoch]!;
  },
});

test('hooks are called in order, and awaited', async () => {
  const calls: string[] = [];
  const note = (name: string) => async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    calls.push(name);
  };
  class Mine extends Callback {
    async onTrainEnd(): Promise<void> {
      calls.push(`end of ${this.params.epochs}`);
    }
  }
  await classifier().fit(x, y, {
    ...quiet,
    batchSize: 32,
    callbacks: [
      {
        onTrainBegin: note('begin'),
        onEpochBegin: note('epoch'),
        onTrainBatchEnd: note('batch'),
        onEpochEnd: note('done'),
      },
      new Mine(),
    ],
  });
  expect(calls).toEqual(['begin', 'epoch', 'batch', 'batch', 'done', 'end of 1']);
});

test('going step by step gives the same weights as one native epoch', async () => {
  const a = classifier(6);
  const losses: number[] = [];
  await a.fit(x, y, { ...quiet, epochs: 2, batchSize: 20 });
  const b = classifier(6);
  await b.fit(x, y, {
    ...quiet,
    epochs: 2,
    batchSize: 20,
    callbacks: [
      {
        onBatchEnd: (_, logs) => {
          losses.push(logs.loss!);
        },
      },
    ],
  });
  expect(losses).toHaveLength(8);
  expect((await a.getWeights()).map((array) => array.data)).toEqual((await b.getWeights()).map((array) => array.data));
});

describe('EarlyStopping', () => {
  const run = async (values: number[], options: object): Promise<number> => {
    const { epoch } = await classifier().fit(x, y, {
      ...quiet,
      epochs: values.length,
      callbacks: [pretend(values), callbacks.earlyStopping(options)],
    });
    return epoch.length;
  };
  test('waits for patience', async () => expect(await run([3, 2, 2, 2, 2, 2], { patience: 2 })).toBe(4));
  test('NaN first does not block later improvements', async () =>
    expect(await run([Number.NaN, 2, 1, 0.5, 0.4, 0.3], { patience: 2 })).toBe(6));
  test('restores the best weights', async () => {
    const model = classifier();
    const seen: Float32Array[] = [];
    await model.fit(x, y, {
      ...quiet,
      epochs: 4,
      callbacks: [
        pretend([3, 1, 2, 2]),
        {
          onEpochEnd: async () => {
            seen.push(Float32Array.from((await model.getWeights())[0]!.data));
          },
        },
        callbacks.earlyStopping({ patience: 9, restoreBestWeights: true }),
      ],
    });
    expect((await model.getWeights())[0]!.data).toEqual(seen[1]);
  });
  test('an unknown direction asks for mode', async () => {
    await expect(
      classifier().fit(x, y, {
        ...quiet,
        epochs: 3,
        callbacks: [
          {
            onEpochEnd: (_, logs) => {
              logs.odd = 1;
            },
          },
          callbacks.earlyStopping({ monitor: 'odd' }),
        ],
      }),
    ).rejects.toThrow(/mode: 'max'/);
  });
});

test('LearningRateScheduler sets the rate before each epoch and logs it', async () => {
  const { history } = await classifier().fit(x, y, {
    ...quiet,
    epochs: 3,
    callbacks: [callbacks.learningRateScheduler((epoch, rate) => (epoch === 0 ? rate : rate / 2))],
  });
  expect(history.learning_rate!.map((rate) => Number(rate.toFixed(6)))).toEqual([0.001, 0.0005, 0.00025]);
});

test('ReduceLROnPlateau lowers the rate when nothing improves', async () => {
  const model = classifier();
  model.compile({ optimizer: optimizers.sgd({ learningRate: 1 }), loss: 'mse' });
  const { history } = await model.fit(x, y, {
    ...quiet,
    epochs: 5,
    callbacks: [pretend([1, 1, 1, 1, 1]), callbacks.reduceLROnPlateau({ patience: 2, factor: 0.5 })],
  });
  expect(history.learning_rate).toEqual([1, 1, 1, 0.5, 0.5]);
});

test('CSVLogger writes a line per epoch', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'chainrule-')), 'log.csv');
  await classifier().fit(x, y, { ...quiet, epochs: 2, callbacks: [callbacks.csvLogger(path)] });
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines[0]).toBe('epoch,accuracy,loss');
  expect(lines).toHaveLength(3);
});
