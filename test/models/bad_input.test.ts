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

const words = (): Sequential => {
  const made = sequential([
    layers.embedding({ inputDim: 10, outputDim: 2, inputShape: [3], name: 'words' }),
    layers.globalAveragePooling1d(),
    layers.dense({ units: 1 }),
  ]);
  made.compile({ loss: 'mse' });
  return made;
};

const recurrent = { lstm: layers.lstm, gru: layers.gru, simpleRnn: layers.simpleRnn };
const stacked = Object.entries(recurrent).map(
  ([name, layer]): Mistake => [
    `${name} behind a recurrent layer without returnSequences`,
    () =>
      sequential([
        layers.lstm({ units: 3, inputShape: [4, 2], name: 'below' }),
        layers.dropout({ rate: 0.5 }),
        layer({ units: 3, name: 'above' }),
      ]),
    'SHAPE',
    /layer "above" .* expects 3 dimensions.*Layer "below" \(LSTM\) before it gives only its last time step; with returnSequences: true/,
  ],
);

const habits: [string, string][] = [
  ['lr', 'learningRate'],
  ['learning_rate', 'learningRate'],
  ['learninRate', 'learningRate'],
  ['beta_1', 'beta1'],
  ['eps', 'epsilon'],
];
const layerHabits: [string, string][] = [
  ['kernel_size', 'kernelSize'],
  ['input_shape', 'inputShape'],
  ['batchInputShape', 'inputShape'],
  ['stride', 'strides'],
  ['outChannels', 'filters'],
  ['bias', 'useBias'],
];
const foreign: Mistake[] = [
  ...habits.map(
    ([key, meant]): Mistake => [
      `optimizer option ${key}`,
      () => optimizers.adam({ [key]: 0.1 } as never),
      'OPTION',
      new RegExp(`Adam: unknown option "${key}"; did you mean "${meant}"`),
    ],
  ),
  ...layerHabits.map(
    ([key, meant]): Mistake => [
      `layer option ${key}`,
      () => layers.conv2d({ filters: 1, kernelSize: 1, [key]: 1 } as never),
      'OPTION',
      new RegExp(`unknown option "${key}"; did you mean "${meant}"`),
    ],
  ),
  [
    'fit option batch_size',
    () => model.fit(x, y, { batch_size: 4 } as never),
    'OPTION',
    /unknown option "batch_size"; did you mean "batchSize"/,
  ],
  [
    'fit option validationBatches',
    () => model.fit(x, y, { validationBatches: 4 } as never),
    'OPTION',
    /did you mean "validationSteps"/,
  ],
];

const mistakes: Mistake[] = [
  ...stacked,
  ...foreign,
  [
    'a GRU in both directions behind one without returnSequences',
    () =>
      sequential([
        layers.bidirectional({ layer: layers.gru({ units: 3, name: 'inner' }), inputShape: [4, 2], name: 'below' }),
        layers.bidirectional({ layer: layers.gru({ units: 3 }), name: 'above' }),
      ]),
    'SHAPE',
    /layer "above".*Layer "below" \(Bidirectional of "forward_inner"\) before it gives only its last time step/,
  ],
  ['a number for options', () => layers.dense(3 as never), 'OPTION', /Dense: options come as one object.*got 3/],
  ['a number for options of lstm', () => layers.lstm(3 as never), 'OPTION', /LSTM: options come as one object.*got 3/],
  ['units as a string', () => layers.dense({ units: '3' as never }), 'OPTION', /units.*integer.*the string "3"/],
  [
    'options in the place of targets',
    () => model.fit(x, { epochs: 2, verbose: 0 } as never),
    'INPUT',
    /fit: the second argument, \{ epochs, verbose \}, is options.*fit\(x, y, \{ epochs, verbose \}\)/,
  ],
  [
    'options in the place of the targets of evaluate',
    () => model.evaluate(x, { batchSize: 2 } as never),
    'INPUT',
    /evaluate: the second argument, \{ batchSize \}, is options/,
  ],
  [
    'validation data as a record',
    () => model.fit(x, y, { ...quiet, validationData: { x, y } as never }),
    'OPTION',
    /validationData is a list \[x, y\].*got an object with x, y/,
  ],

  ['too many features', () => model.predict([[1, 2, 3]]), 'SHAPE', /\[null, 2\].*\[null, 3\]/],
  ['a rank too low', () => model.predict(new NDArray(new Float32Array(3), [3])), 'SHAPE', /\[null, 2\].*\[null\]/],
  [
    'one row without its batch axis',
    () => model.predict([1, 2]),
    'SHAPE',
    /x is one row of shape \[2\]; the model takes rows, \[null, 2\]\. Wrap it: \[row\]/,
  ],
  ['one row for predictSync', () => model.predictSync([1, 2]), 'SHAPE', /x is one row of shape \[2\]/],
  [
    'one image without its batch axis',
    () => {
      const images = sequential([layers.flatten({ inputShape: [4, 4, 1] })]);
      return images.predict(new NDArray(new Float32Array(16), [4, 4, 1]));
    },
    'SHAPE',
    /x is one row of shape \[4, 4, 1\]/,
  ],
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
    'null in nested rows',
    () =>
      model.predict([
        [1, 2],
        [3, null],
      ] as never),
    'INPUT',
    /x: row 1, column 1 is null, a missing value\. Fill it in .* or drop the row/,
  ],
  ['null as the first value', () => model.predict([[null, 2]] as never), 'INPUT', /x: row 0, column 0 is null/],
  [
    'undefined instead of a row',
    () => model.predict([undefined, [1, 2]] as never),
    'INPUT',
    /x: row 0 is undefined, a missing value/,
  ],
  [
    'null among the targets',
    () =>
      model.fit(
        [
          [1, 2],
          [3, 4],
        ],
        [1, null] as never,
        quiet,
      ),
    'INPUT',
    /y: row 1 is null/,
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
  [
    'an id that no table has, in training',
    () =>
      words().fit(
        [
          [0, 9, 1],
          [2, 10, 0],
        ],
        [0, 1],
        quiet,
      ),
    'INPUT',
    /x: row 1, column 1 has the id 10, but layer "words" has a table of 10 rows: ids must be 0 … 9\. Raise/,
  ],
  ['a negative id in evaluate', () => words().evaluate([[0, -1, 1]], [0]), 'INPUT', /row 0, column 1 has the id -1/],
  [
    'an id that no table has, in predict',
    () =>
      words().predict([
        [0, 9, 1],
        [2, 3, 10],
      ]),
    'INPUT',
    /layer "words": row 1, column 2 is the id 10, but the table has 10 rows: ids must be 0 to 9/,
  ],
  [
    'an id that no table has, in the second batch',
    () =>
      words().predict(
        [
          [0, 9, 1],
          [2, 3, 4],
          [10, 0, 0],
        ],
        { batchSize: 2 },
      ),
    'INPUT',
    /layer "words": row 2, column 0 is the id 10/,
  ],
  [
    'an id that no table has, in predictSync',
    () => words().predictSync([[0, 9, 11]]),
    'INPUT',
    /layer "words": row 0, column 2 is the id 11/,
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
  [
    'saveWeights before build',
    () => sequential([layers.dense({ units: 1 })]).saveWeights('w.h5'),
    'NOT_BUILT',
    /is not built/,
  ],
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

  test('the first of several NaN is named where all threads look through a large array', async () => {
    const rows = 1 << 18;
    const x = new Float32Array(rows * 2);
    for (const row of [rows - 1, 200_001, 200_000]) x[row * 2 + 1] = Number.NaN;
    await expect(model.predict(new NDArray(x, [rows, 2]), { batchSize: rows })).rejects.toThrow(/row 200000, column 1/);
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
