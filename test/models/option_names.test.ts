import { describe, expect, test } from 'vitest';
import {
  compute,
  Dataset,
  functional,
  input,
  layers,
  loadModel,
  Model,
  normalize,
  ops,
  padSequences,
  RematScope,
  registerClass,
  sequential,
  setDtypePolicy,
  splitDataset,
  type Tensor,
  timeseriesDatasetFromArray,
  trace,
} from '../../lib/index.js';
import { classifier, points } from './data.js';

const model = classifier();
const { x, y } = points(8);
const at = input({ shape: [2] });
const data = Dataset.from({ x, y });
const lookup = layers.stringLookup({ vocabulary: ['a'] });
const rows = [1, 2, 3, 4];

type Call = (options: never) => unknown;
/** Everything that takes an object of options, with a known name and the same misspelt. */
const calls: [where: string, call: Call, known: string, misspelt: string][] = [
  ['functional', (o: object) => functional(o as never), 'trainable', 'trainabel'],
  ['sequential', (o: object) => sequential([], o), 'name', 'nmae'],
  ['compile', (o: object) => classifier().compile(o), 'metrics', 'metric'],
  ['fit', (o: object) => model.fit(x, y, o), 'batchSize', 'batch_size'],
  ['evaluate', (o: object) => model.evaluate(x, y, o), 'batchSize', 'batchsize'],
  ['predict', (o: object) => model.predict(x, o), 'batchSize', 'batch_size'],
  ['activations', (o: object) => model.activations(x, undefined, o), 'batchSize', 'batchsize'],
  ['trainOnBatch', (o: object) => model.trainOnBatch(x, y, o), 'sampleWeight', 'sampleWeights'],
  ['testOnBatch', (o: object) => model.testOnBatch(x, y, o), 'sampleWeight', 'sample_weight'],
  ['warmup', (o: object) => model.warmup(o), 'batchSizes', 'batchSize'],
  ['profile', (o: object) => model.profile(x, undefined, o), 'repeats', 'repeat'],
  ['summary', (o: object) => model.summary(o), 'lineLength', 'line_length'],
  ['save', (o: object) => model.save('/nowhere/a.keras', o), 'overwrite', 'overwirte'],
  ['saveWeights', (o: object) => model.saveWeights('/nowhere/a.weights.h5', o), 'signal', 'singal'],
  ['loadModel', (o: object) => loadModel('/nowhere/a.keras', o), 'compile', 'compiled'],
  ['quantize', (o: object) => classifier().quantize('int8', o), 'filters', 'filter'],
  ['trace', (o: object) => trace(() => ops.zeros([1]), o), 'device', 'devise'],
  ['run', (o: object) => trace(({ x }) => x).run({ x: [1] }, o), 'rowOffset', 'rowOfset'],
  ['compute', (o: object) => compute(() => ops.zeros([1]), o), 'signal', 'singal'],
  ['Dataset.shuffle', (o: object) => data.shuffle(o), 'bufferSize', 'buffer_size'],
  ['Dataset.batch', (o: object) => data.batch(2, o), 'dropRemainder', 'drop_remainder'],
  ['splitDataset', (o: object) => splitDataset(x, o), 'shuffle', 'shufle'],
  ['padSequences', (o: object) => padSequences([[1]], o), 'maxlen', 'maxLen'],
  [
    'timeseriesDatasetFromArray',
    (o: object) => timeseriesDatasetFromArray(rows, null, o as never),
    'batchSize',
    'batch_size',
  ],
  ['normalize', (o: object) => normalize(rows, o), 'order', 'ordre'],
  ['registerClass', (o: object) => registerClass(class A {}, o), 'package', 'pakage'],
  ['getVocabulary', (o: object) => lookup.getVocabulary(o), 'includeSpecialTokens', 'include_special_tokens'],
  ['RematScope', (o: object) => new RematScope(o), 'mode', 'mod'],
  ['Dense', (o: object) => layers.dense({ units: 1 }).apply(at, o as never), 'training', 'trainig'],
  ['sum', (o: object) => compute(() => ops.sum(rows, o)), 'keepdims', 'keepDims'],
  ['mean', (o: object) => compute(() => ops.mean(rows, o)), 'axis', 'axes'],
];

describe('an unknown option is named with the one that was meant', () => {
  test.each(calls)('%s', async (where, call, known, misspelt) => {
    const run = async (): Promise<unknown> => call({ [misspelt]: undefined } as never);
    await expect(run()).rejects.toMatchObject({ name: 'ChainruleError', code: 'ERR_CHAINRULE_OPTION' });
    await expect(run()).rejects.toThrow(`${where}: unknown option "${misspelt}"; did you mean "${known}"?`);
  });

  test.each(calls)('%s takes no number for options', async (where, call) => {
    await expect((async () => call(5 as never))()).rejects.toThrow(`${where}: options come as one object`);
  });
});

test('what functional needs is named', () => {
  expect(() => (functional as Call)(undefined as never)).toThrow(
    'functional: inputs is missing. Write functional({ inputs: x, outputs: layers.dense({ units: 1 }).apply(x) }).',
  );
  expect(() => (functional as (...args: unknown[]) => unknown)(at, at)).toThrow(/functional: /);
});

test('the layers of a sequential model come as a list', () => {
  expect(() => sequential(layers.dense({ units: 1, name: 'only' }) as never)).toThrow(
    'sequential: the layers come as a list, got the layer "only". Write sequential([layers.dense({ units: 64 }), …]).',
  );
});

describe('a dtype of a model, which its layers would not see, is refused with what to do', () => {
  const help =
    /a model has no dtype of its own, got the string "mixedBfloat16"\. Give it to the layers.*setDtypePolicy/;
  const dtype = 'mixedBfloat16';

  test('sequential and functional', () => {
    expect(() => sequential([layers.dense({ units: 1 })], { dtype } as never)).toThrow(help);
    expect(() => functional({ inputs: at, outputs: at, dtype } as never)).toThrow(help);
  });

  test('classes, unless it is what layers have anyway', () => {
    class Own extends Model {
      dense = layers.dense({ units: 1 });
      override call(x: never): Tensor {
        return this.dense.apply(x);
      }
    }
    expect(() => new Own({ dtype })).toThrow(/Own: a model has no dtype of its own/);
    expect(new Own({ dtype: 'float32' }).dtype).toBe('float32');
    setDtypePolicy(dtype);
    try {
      expect(new Own({ dtype }).dense.dtype).toBe('mixed_bfloat16');
    } finally {
      setDtypePolicy('float32');
    }
  });
});
