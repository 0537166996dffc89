import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test, vi } from 'vitest';
import {
  type CompileOptions,
  callbacks,
  functional,
  input,
  layers,
  loadModel,
  losses,
  metrics,
  NDArray,
  optimizers,
  type Sequential,
  sequential,
  type Tensor,
} from '../../lib/index.js';

// What people who come from articles do, through the public API alone: the message names the place, what came, what was
// expected and what to write instead.

const folder = mkdtempSync(join(tmpdir(), 'chainrule-beginner-'));
afterAll(() => rmSync(folder, { recursive: true }));

const x = [
  [1, 2],
  [3, 4],
  [5, 6],
  [7, 8],
];
const flat = [0, 1, 0, 1];
const quiet = { verbose: 0 } as const;

function net(units: number, activation: 'softmax' | 'sigmoid' | 'linear', options: CompileOptions): Sequential {
  const made = sequential([
    layers.dense({ units: 4, activation: 'relu', inputShape: [2] }),
    layers.dense({ units, activation, name: 'scores' }),
  ]);
  made.compile(options);
  return made;
}
const classes = (loss: CompileOptions['loss'] = 'categoricalCrossentropy'): Sequential => net(3, 'softmax', { loss });
const line = (options: CompileOptions = {}): Sequential => net(1, 'linear', { loss: 'mse', ...options });
const pair = (): ReturnType<typeof functional> => {
  const ends = [input({ shape: [2], name: 'a' }), input({ shape: [2], name: 'b' })];
  return functional({ inputs: ends, outputs: layers.add().apply(ends) }) as never;
};
const images = (): Sequential => {
  const made = sequential([
    layers.conv2d({ filters: 2, kernelSize: 3, inputShape: [8, 8, 1] }),
    layers.dense({ units: 3, activation: 'softmax' }),
  ]);
  made.compile({ loss: 'sparseCategoricalCrossentropy' });
  return made;
};
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

type Mistake = [name: string, make: () => unknown, code: string, message: RegExp | string];
const mistakes: Mistake[] = [
  [
    'class numbers for categoricalCrossentropy',
    () => classes().fit(x, [0, 1, 2, 0], quiet),
    'SHAPE',
    "categoricalCrossentropy: targets [null] don't fit predictions [null, 3]: expected one-hot targets of 3 classes; for class numbers use sparseCategoricalCrossentropy.",
  ],
  [
    'class numbers in a column',
    () => classes().fit(x, [[0], [1], [2], [0]], quiet),
    'SHAPE',
    /targets \[null, 1\] don't fit predictions \[null, 3\]: expected one-hot targets of 3 classes/,
  ],
  [
    'one-hot vectors of another width',
    () =>
      classes().fit(
        x,
        [
          [1, 0],
          [0, 1],
          [1, 0],
          [0, 1],
        ],
        quiet,
      ),
    'SHAPE',
    /targets \[null, 2\] don't fit predictions \[null, 3\]/,
  ],
  [
    'one-hot vectors for sparseCategoricalCrossentropy',
    () =>
      classes('sparseCategoricalCrossentropy').fit(
        x,
        [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
          [1, 0, 0],
        ],
        quiet,
      ),
    'SHAPE',
    /expected class numbers; for one-hot targets use categoricalCrossentropy/,
  ],
  [
    'a dense layer behind a convolution, not flattened',
    () => images().fit(new NDArray(new Float32Array(128), [2, 8, 8, 1]), [0, 1], quiet),
    'SHAPE',
    /predictions \[null, 6, 6, 3\].*flatten or pool before the last layer: layers\.flatten\(\)/,
  ],
  [
    'precision of two softmax units, with class numbers',
    () => net(2, 'softmax', { loss: 'sparseCategoricalCrossentropy', metrics: ['precision'] }).fit(x, flat, quiet),
    'SHAPE',
    "precision: targets of shape [null] don't fit output \"scores\" of shape [null, 2]. It counts positives: for two classes use one unit with activation 'sigmoid'; or give y as one-hot rows instead of class numbers (toCategorical), and the metric a classId.",
  ],
  [
    'a metric by units, with class numbers',
    () => net(3, 'softmax', { loss: 'sparseCategoricalCrossentropy', metrics: ['mae'] }).fit(x, [0, 1, 2, 0], quiet),
    'SHAPE',
    'mae: targets of shape [null] don\'t fit output "scores" of shape [null, 3]. Give y a number for each of its units.',
  ],
  [
    'targets with more columns than the output has units',
    () =>
      net(2, 'linear', { loss: 'mse' }).fit(
        x,
        [
          [1, 2, 3],
          [1, 2, 3],
          [1, 2, 3],
          [1, 2, 3],
        ],
        quiet,
      ),
    'SHAPE',
    'mean_squared_error: targets of shape [null, 3] don\'t fit output "scores" of shape [null, 2]. Give y a number for each of its units, or the last layer as many units as y has columns.',
  ],
  [
    'one target for several units',
    () => net(3, 'linear', { loss: 'mse' }).fit(x, flat, quiet),
    'SHAPE',
    /targets of shape \[null\] don't fit output "scores" of shape \[null, 3\]/,
  ],
  [
    'words as labels',
    () => classes('sparseCategoricalCrossentropy').fit(x, ['a', 'b', 'c', 'a'] as never, quiet),
    'INPUT',
    /y: row 0 is the string "a".*a number per category/,
  ],
  [
    'a promise for x',
    () => line().fit(Promise.resolve(x) as never, flat, quiet),
    'INPUT',
    /x: an array is expected.*got a promise: await it first/,
  ],
  [
    'a promise for y',
    () => line().fit(x, Promise.resolve(flat) as never, quiet),
    'INPUT',
    /y: an array is expected.*got a promise: await it first/,
  ],
  ['a Map for x', () => line().predict(new Map() as never), 'INPUT', /got an object of class Map/],
  [
    'a date among numbers',
    () => line().predict([[new Date(), 1]] as never),
    'INPUT',
    /x\.0\.0: an array is expected.*got an object of class Date/,
  ],
  [
    'rows as objects',
    () => line().fit([{ age: 3, height: 5 }] as never, [1], quiet),
    'INPUT',
    'x: the rows are objects, { age, height }; lists of numbers are expected: rows.map(({ age, height }) => [age, height]).',
  ],
  [
    'rows in one flat array',
    () => line().predict(Float32Array.of(1, 2, 3, 4)),
    'SHAPE',
    'x is a flat array of 4 numbers; the model takes rows, [null, 2]. Say its shape: new NDArray(x, [2, 2]).',
  ],
  [
    'rows in one flat array, in fit',
    () => line().fit(new Float32Array(8), flat, quiet),
    'SHAPE',
    /new NDArray\(x, \[4, 2\]\)/,
  ],
  [
    'a plain list in an NDArray',
    () => new NDArray([1, 2, 3] as never),
    'INPUT',
    /NDArray: the data is a Float32Array.*got \[1, 2, 3\]\. Convert it: Float32Array\.from/,
  ],
  [
    'a BigInt64Array in an NDArray',
    () => new NDArray(BigInt64Array.of(1n, 2n) as never, [1, 2]),
    'INPUT',
    /got a BigInt64Array\. Convert it: Float32Array\.from\(data, Number\)/,
  ],
  [
    'a number as shape of an NDArray',
    () => new NDArray(Float32Array.of(1, 2), 2 as never),
    'SHAPE',
    /the shape is a list of sizes, like \[2, 3\], got 2/,
  ],
  [
    'epochs -1',
    () => line().fit(x, flat, { ...quiet, epochs: -1 }),
    'OPTION',
    'fit: epochs must be an integer >= 1, got -1.',
  ],
  [
    'epochs as a string',
    () => line().fit(x, flat, { ...quiet, epochs: '5' as never }),
    'OPTION',
    /epochs must be an integer >= 1, got the string "5"/,
  ],
  [
    'epochs by position',
    () => line().fit(x, flat, 5 as never),
    'OPTION',
    /fit: options come as one object, \{ name: value, … \}, got 5/,
  ],
  [
    'batchSize 0 in predict',
    () => line().predict(x, { batchSize: 0 }),
    'OPTION',
    'predict: batchSize must be an integer >= 1, got 0.',
  ],
  [
    'batchSize 0 in evaluate',
    () => line().evaluate(x, flat, { batchSize: 0 }),
    'OPTION',
    'evaluate: batchSize must be',
  ],
  [
    'validationSplit 1.5',
    () => line().fit(x, flat, { ...quiet, validationSplit: 1.5 }),
    'OPTION',
    'fit: validationSplit must be a number from 0 to below 1, got 1.5.',
  ],
  [
    'true for a signal',
    () => line().fit(x, flat, { ...quiet, signal: true as never }),
    'OPTION',
    /signal must be an AbortSignal \(controller\.signal\), got true/,
  ],
  ['compile by position', () => line().compile('adam' as never), 'OPTION', /compile: options come as one object/],
  [
    'a metric without a list',
    () => line({ metrics: 'accuracy' as never }),
    'OPTION',
    /metrics must be a list like \['accuracy'\].*got the string "accuracy"/,
  ],
  [
    'a metric that was not called',
    () => line({ metrics: [metrics.auc as never] }),
    'OPTION',
    /a metric is .* got a function: a factory must be called/,
  ],
  [
    'an optimizer that was not called',
    () => line({ optimizer: optimizers.adam as never }),
    'OPTION',
    /an optimizer is .* got a function: a factory must be called/,
  ],
  [
    'a class for an optimizer',
    () => line({ optimizer: optimizers.Adam as never }),
    'OPTION',
    /got the class Adam: make it with new Adam/,
  ],
  [
    'a class for a loss',
    () => line({ loss: losses.Huber as never }),
    'OPTION',
    /got the class Huber: make it with new Huber/,
  ],
  ['a number for a loss', () => line({ loss: 5 as never }), 'OPTION', /a loss is .* got 5/],
  [
    'a callback that was not called',
    () => line().fit(x, flat, { ...quiet, callbacks: [callbacks.earlyStopping as never] }),
    'OPTION',
    /a callback is an object with hooks, got a function\. Make one: callbacks\.earlyStopping/,
  ],
  [
    'a misspelt hook',
    () => line().fit(x, flat, { ...quiet, callbacks: [{ onEpochend: () => {} } as never] }),
    'OPTION',
    /callbacks: unknown option "onEpochend"; did you mean "onEpochEnd"/,
  ],
  [
    'classWeight as a Map',
    () => line().fit(x, flat, { ...quiet, classWeight: new Map([[0, 1]]) as never }),
    'OPTION',
    /classWeight is a record of weights by class number, \{ 0: 1, 1: 5 \}, got an object of class Map/,
  ],
  [
    'classWeight balanced',
    () => line().fit(x, flat, { ...quiet, classWeight: 'balanced' as never }),
    'OPTION',
    /classWeight is a record .* got the string "balanced"/,
  ],
  [
    'classWeight without classes',
    () => line().fit(x, flat, { ...quiet, classWeight: {} }),
    'OPTION',
    /classWeight is a record/,
  ],
  ['several inputs, one array', () => pair().predict(x), 'INPUT', /the model has 2 inputs \("a", "b"\)/],
  [
    'no list for setWeights',
    () => line().setWeights(5 as never),
    'VALUE',
    /setWeights: a list of arrays is expected, as getWeights gives it, got 5/,
  ],
  [
    'build with a number',
    () => sequential([layers.dense({ units: 1 })]).build(5 as never),
    'OPTION',
    /batchShape must be the sizes of a batch, like \[null, 28, 28, 1\].*got 5/,
  ],
  [
    'a layer that was not called',
    () => sequential([layers.flatten as never]),
    'OPTION',
    /element 0 is no layer \(got function\); use layers\.dense\(\{ … \}\)/,
  ],
  [
    'a file that is not there',
    () => loadModel(join(folder, 'none.keras')),
    'IO',
    /cannot read .*none\.keras: there is no such file/,
  ],
  [
    'a file that is no model',
    () => loadModel(file('bad.keras', 'hello')),
    'FORMAT',
    /bad\.keras: this is neither a \.keras file nor an HDF5 file/,
  ],
  ...[(a: Tensor) => a, (a: Tensor) => [a], (a: Tensor) => ({ a })].map(
    (shape, i): Mistake => [
      `inputs and outputs side by side, ${i}`,
      () => {
        const a = input({ shape: [2], name: 'a' });
        return (functional as (...all: unknown[]) => unknown)(shape(a), layers.dense({ units: 1 }).apply(a));
      },
      'OPTION',
      /functional: inputs and outputs come in one record, functional\(\{ inputs, outputs \}\), got (an object|a list)/,
    ],
  ),
  [
    'no options of a functional model',
    () => functional(null as never),
    'OPTION',
    /functional: options come as one object/,
  ],
  [
    'inputs of a merging layer side by side',
    () => layers.concatenate({ name: 'c' }).apply(input({ shape: [2] }), input({ shape: [2] }) as never),
    'OPTION',
    'layer "c" (Concatenate): several inputs come in one list, apply([a, b]); got an object of class Tensor in the place of options, apply(x, { mask }).',
  ],
  [
    'several columns for one input',
    () => line().predict({ a: x, b: x }),
    'INPUT',
    /x: the model has one input, "\w+", got a record of 2: "a", "b"\. Pass its array alone\./,
  ],
  [
    'the bytes of a file',
    () => loadModel(Buffer.alloc(70000, 1) as never),
    'OPTION',
    'loadModel: a file path is expected, got a Buffer of 70000 bytes; write it to a file first.',
  ],
  [
    'a file on the web',
    () => loadModel(new URL('https://example.org/m.keras')),
    'OPTION',
    /a file path is expected, got the URL https:\/\/example\.org…; of URLs, only those of files are opened/,
  ],
  [
    'no path to save to',
    () => line().save(undefined as never),
    'OPTION',
    'save: a file path is expected, got undefined.',
  ],
  ['a model saved as h5', () => line().save(join(folder, 'a.h5')), 'OPTION', /models are saved as \.keras/],
];

describe('typical mistakes say what is wrong and what to do', () => {
  test.each(mistakes)('%s', async (_, make, code, message) => {
    const run = async (): Promise<unknown> => make();
    const error = await run().then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error).toMatchObject({ name: 'ChainruleError', code: `ERR_CHAINRULE_${code}` });
    if (typeof message === 'string') expect(error!.message).toContain(message);
    else expect(error!.message).toMatch(message);
  });
});

describe('what cannot learn is warned of', () => {
  test.each([
    ['softmax', 'binaryCrossentropy', 'a softmax of one unit is always 1'],
    ['sigmoid', 'categoricalCrossentropy', 'categorical_crossentropy needs a unit for each class'],
  ] as const)('%s of one unit with %s', async (activation, loss, why) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      await net(1, activation, { loss }).fit(x, [[0], [1], [0], [1]], quiet);
      expect(warn.mock.calls.map(([text]) => String(text)).join()).toContain(why);
      warn.mockClear();
      await net(1, 'sigmoid', { loss: 'binaryCrossentropy' }).fit(x, flat, quiet);
      expect(warn).not.toHaveBeenCalled();
    } finally {
      warn.mockRestore();
    }
  });
});

test('a softmax over another axis than the last is not warned of', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const model = sequential([layers.softmax({ axis: 1, inputShape: [3, 1] })]);
  model.compile({ optimizer: 'sgd', loss: losses.categoricalCrossentropy({ axis: 1 }) });
  await model.evaluate([[[1], [2], [3]]], [[[0], [1], [0]]], { verbose: 0 });
  expect(warn).not.toHaveBeenCalled();
  warn.mockRestore();
});

test('weights of classes may come from another realm', async () => {
  const classWeight = runInNewContext('({ 0: 1, 1: 5 })') as Record<number, number>;
  const { history } = await line().fit(x, flat, { ...quiet, classWeight });
  expect(history.loss).toHaveLength(1);
});

test('a loss function of the program sees flat targets in a column, as the predictions are', async () => {
  const shapes: unknown[] = [];
  const own = (yTrue: Tensor, yPred: Tensor): Tensor => {
    shapes.push(yTrue.shape, yPred.shape);
    return yTrue.sub(yPred).square();
  };
  const model = line({ loss: own, metrics: ['mse'] });
  const { loss, mse } = await model.evaluate(x, flat);
  expect(shapes).toEqual([
    [null, 1],
    [null, 1],
  ]);
  expect(loss).toBeCloseTo(mse!, 5);
});

test('files may be named by URLs, as those of Node', async () => {
  const at = (name: string): URL => pathToFileURL(join(folder, name));
  const model = line();
  await model.save(at('by url.keras'));
  await model.saveWeights(at('by url.safetensors'));
  const again = await loadModel(at('by url.keras'));
  await again.loadWeights(at('by url.safetensors'));
  expect((await again.predict(x)).data).toEqual((await model.predict(x)).data);
});

test('functions of the program stay losses and metrics, whatever they are called', async () => {
  const mean = (yTrue: Tensor, yPred: Tensor) => losses.mse(yTrue, yPred);
  const model = line({ loss: mean, metrics: [mean] });
  const { history } = await model.fit(x, flat, quiet);
  expect(history.mean![0]).toBeCloseTo(history.loss[0]!, 5);
});
