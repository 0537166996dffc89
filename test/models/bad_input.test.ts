import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { functional, input, layers, NDArray, optimizers, type Sequential, sequential } from '../../lib/index.js';
import { classifier, points } from './data.js';

const model = classifier();
const { x, y } = points(8);
const quiet = { verbose: 0 } as const;

/** After every mistake, the model works as before. */
afterEach(async () => {
  expect((await model.predict(x)).shape).toEqual([8, 1]);
  await model.fit(x, y, quiet);
});

type Mistake = [name: string, make: () => unknown, code: string, message: RegExp];
const digits = (): Sequential => {
  const made = sequential([layers.dense({ units: 3, activation: 'softmax', inputShape: [2], name: 'scores' })]);
  made.compile({ loss: 'sparseCategoricalCrossentropy' });
  return made;
};

const mistakes: Mistake[] = [
  ['too many features', () => model.predict([[1, 2, 3]]), 'SHAPE', /\[null, 2\].*\[null, 3\]/],
  ['a rank too low', () => model.predict(new NDArray(new Float32Array(2), [2])), 'SHAPE', /\[null, 2\].*\[null\]/],
  ['a rank too high', () => model.predict([[[1, 2]]]), 'SHAPE', /\[null, 1, 2\]/],
  [
    'features inside a model',
    () => {
      const d = layers.dense({ units: 2, name: 'second' });
      sequential([layers.dense({ units: 3, inputShape: [2] }), d]);
      return d.apply(input({ shape: [7] }));
    },
    'SHAPE',
    /layer "second" \(Dense\) was built for inputs with 3 features.*\[null, 3\].*\[null, 7\]/,
  ],
  [
    'ragged rows',
    () => model.predict([[1, 2], [3, 4], [5]]),
    'SHAPE',
    /x: row 2 has 1 values where the rows before it have 2/,
  ],
  [
    'a string',
    () =>
      model.predict([
        [1, 2],
        [3, 'abc'],
      ] as never),
    'INPUT',
    /x: row 1, column 1 is the string "abc"/,
  ],
  [
    'NaN in nested rows',
    () =>
      model.predict([
        [1, 2],
        [Number.NaN, 4],
      ]),
    'INPUT',
    /x: row 1, column 0 is NaN.*allowNonFinite/,
  ],
  [
    'Infinity in a typed array',
    () => model.predict(new NDArray(Float32Array.of(1, 2, 3, Number.POSITIVE_INFINITY), [2, 2])),
    'INPUT',
    /row 1, column 1/,
  ],
  [
    'NaN in training data',
    () => model.fit(new NDArray(Float32Array.of(1, 2, Number.NaN, 4), [2, 2]), [0, 1], quiet),
    'INPUT',
    /x: row 1, column 0 is NaN/,
  ],
  [
    'NaN in targets',
    () =>
      model.fit(
        [
          [1, 2],
          [3, 4],
        ],
        Float32Array.of(0, Number.NaN),
        quiet,
      ),
    'INPUT',
    /y: row 1 is NaN/,
  ],
  [
    'a label that is no class',
    () =>
      digits().fit(
        [
          [1, 2],
          [3, 4],
        ],
        [0, 3],
        quiet,
      ),
    'INPUT',
    /y: row 1 has class 3, but the model's output has 3 classes, 0 … 2/,
  ],
  [
    'a negative label',
    () =>
      digits().fit(
        [
          [1, 2],
          [3, 4],
        ],
        Int32Array.of(-1, 0),
        quiet,
      ),
    'INPUT',
    /y: row 0 has class -1/,
  ],
  ['x and y of different lengths', () => model.fit(x, [1, 0], quiet), 'SHAPE', /x has 8 rows but y has 2/],
  ['no rows', () => model.fit(new NDArray(new Float32Array(0), [0, 2]), [], quiet), 'INPUT', /no rows/],
  ['no data', () => model.predict(undefined as never), 'INPUT', /there is no data/],
  ...[0, -1, Number.NaN, 1.5].map(
    (batchSize): Mistake => [
      `batchSize ${batchSize}`,
      () => model.fit(x, y, { ...quiet, batchSize }),
      'OPTION',
      /batchSize must be an integer >= 1/,
    ],
  ),
  ['epochs 0', () => model.fit(x, y, { ...quiet, epochs: 0 }), 'OPTION', /epochs must be an integer >= 1/],
  [
    'an unknown fit option',
    () => model.fit(x, y, { ...quiet, batchsize: 4 } as never),
    'OPTION',
    /unknown option "batchsize"; did you mean "batchSize"/,
  ],
  [
    'an unknown layer option',
    () => layers.dense({ units: 1, activaton: 'relu' } as never),
    'OPTION',
    /Dense: unknown option "activaton"; did you mean "activation"/,
  ],
  [
    'an unknown compile option',
    () => model.compile({ optimiser: 'adam' } as never),
    'OPTION',
    /did you mean "optimizer"/,
  ],
  [
    'an unknown loss',
    () => classifier().compile({ loss: 'binaryCrosentropy' as never }),
    'UNKNOWN_CLASS',
    /unknown loss "binaryCrosentropy"; did you mean "binaryCrossentropy"/,
  ],
  [
    'an unknown metric',
    () => classifier().compile({ loss: 'mse', metrics: ['acuracy' as never] }),
    'UNKNOWN_CLASS',
    /did you mean "accuracy"/,
  ],
  [
    'an unknown activation',
    () => layers.dense({ units: 1, activation: 'relu7' as never }),
    'UNKNOWN_CLASS',
    /unknown activation "relu7"; did you mean "relu/,
  ],
  [
    'an unknown optimizer',
    () => classifier().compile({ optimizer: 'adm' as never }),
    'UNKNOWN_CLASS',
    /did you mean "adam"/,
  ],
  [
    'an unknown initializer',
    () => layers.dense({ units: 1, kernelInitializer: 'glorotunifrm' as never }),
    'UNKNOWN_CLASS',
    /did you mean "glorotUniform"/,
  ],
  ['units 0', () => layers.dense({ units: 0 }), 'OPTION', /Dense: units must be an integer >= 1, got 0/],
  ['a bad learning rate', () => optimizers.adam({ learningRate: Number.NaN }), 'OPTION', /learningRate/],
  ['predict before build', () => sequential([layers.dense({ units: 1 })]).predict([[1]]), 'NOT_BUILT', /is not built/],
  [
    'predictSync before build',
    () => sequential([layers.dense({ units: 1 })]).predictSync(Float32Array.of(1)),
    'NOT_BUILT',
    /is not built/,
  ],
  [
    'fit before compile',
    () => sequential([layers.dense({ units: 1, inputShape: [1] })]).fit([[1]], [1], quiet),
    'STATE',
    /is not compiled\. Call model\.compile/,
  ],
  [
    'evaluate before compile',
    () => sequential([layers.dense({ units: 1, inputShape: [1] })]).evaluate([[1]], [1]),
    'STATE',
    /is not compiled/,
  ],
  ['a loss without targets', () => model.fit(x, undefined, quiet), 'VALUE', /no targets/],
  [
    'a split that leaves nothing',
    () => model.fit([[1, 2]], [1], { ...quiet, validationSplit: 0.5 }),
    'OPTION',
    /validationSplit/,
  ],
  [
    'class and sample weights together',
    () => model.fit(x, y, { ...quiet, classWeight: { 0: 1 }, sampleWeight: y }),
    'OPTION',
    /cannot be used together/,
  ],
  [
    'a row of the wrong size',
    () => model.predictSync(Float32Array.of(1, 2, 3)),
    'SHAPE',
    /row has 3 numbers, model "[^"]+" takes 2/,
  ],
  ['something that is no layer', () => sequential([{} as never]), 'OPTION', /element 0 is no layer/],
  [
    'a missing input by name',
    () =>
      functional({
        inputs: [input({ shape: [1], name: 'a' }), input({ shape: [1], name: 'b' })],
        outputs: input({ shape: [1] }),
      }),
    'STATE',
    /not among the model's inputs/,
  ],
  ['a layer of 10 TB', () => sequential([layers.dense({ units: 1_600_000, inputShape: [1_600_000] })]), 'OOM', /bytes/],
];

describe('mistakes are named, with place and fix, and leave the model usable', () => {
  test.each(mistakes)('%s', async (_, make, code, message) => {
    const error = await (async () => make())().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'ChainruleError', code: `ERR_CHAINRULE_${code}` });
    expect((error as Error).message).toMatch(message);
  });

  test('allowNonFinite turns the check off', async () => {
    expect((await model.predict([[Number.NaN, 1]], { allowNonFinite: true })).data[0]).toBeNaN();
  });

  test('a truncated or foreign weights file leaves the weights alone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chainrule-'));
    const path = join(folder, 'w.safetensors');
    await model.saveWeights(path);
    const whole = await readFile(path);
    const before = await model.getWeights();
    await writeFile(path, whole.subarray(0, whole.length - 3));
    await expect(model.loadWeights(path)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_FORMAT' });
    const other = sequential([layers.dense({ units: 9, inputShape: [2] })]);
    await other.saveWeights(path);
    await expect(model.loadWeights(path)).rejects.toThrow(/does not fit model/);
    expect((await model.getWeights()).map((array) => array.data)).toEqual(before.map((array) => array.data));
  });
});
