import { describe, expect, test } from 'vitest';
import { CallbackList } from '../lib/callbacks/callback.js';
import {
  callbacks,
  constraints,
  initializers,
  layers,
  losses,
  metrics,
  optimizers,
  regularizers,
  schedules,
  type Tensor,
} from '../lib/index.js';

const bad = (make: () => unknown, message: string): void => {
  let error: unknown;
  try {
    make();
  } catch (caught) {
    error = caught;
  }
  expect(error, message).toMatchObject({ name: 'ChainruleError', code: 'ERR_CHAINRULE_OPTION' });
  expect((error as Error).message).toContain(message);
};

type Factory = (options: never) => unknown;
/** A factory, the options it needs, an option, values that are refused and values that are taken. */
type Row = [make: Factory, needed: object, option: string, refused: unknown[], taken: unknown[]];

const notCounts = [0, -1, 1.5, '3', Number.NaN, true];
const notRates = [-0.1, 1.1, '0.5', Number.NaN];

const rows: Record<string, Row[]> = {
  layers: [
    [layers.dense, {}, 'units', notCounts, [1, 64]],
    [layers.dense, { units: 1 }, 'useBias', ['no', 2], [true, false, 0]],
    [layers.dense, { units: 1 }, 'name', [5], ['head']],
    [layers.dense, { units: 1 }, 'trainable', ['no'], [false]],
    [layers.dense, { units: 1 }, 'inputShape', [784, '784', [0], [1.5], [-1]], [[784], [null, 3], []]],
    [layers.embedding, { outputDim: 2 }, 'inputDim', notCounts, [10]],
    [layers.conv2d, { kernelSize: 3 }, 'filters', notCounts, [8]],
    [
      layers.conv2d,
      { filters: 8 },
      'kernelSize',
      [...notCounts, [3], [3, 3, 3], [3, 0]],
      [3, [3, 5], Int32Array.of(3, 5)],
    ],
    [layers.conv2d, { filters: 8, kernelSize: 3 }, 'strides', [...notCounts, [2]], [2, [1, 2]]],
    [layers.conv2d, { filters: 8, kernelSize: 3 }, 'dilationRate', notCounts, [2]],
    [layers.conv2d, { filters: 8, kernelSize: 3 }, 'groups', [...notCounts, 3], [1, 2, 4]],
    [layers.conv2d, { filters: 8, kernelSize: 3 }, 'padding', ['full', 'causal', 1], ['same', 'valid']],
    [layers.depthwiseConv2d, { kernelSize: 3 }, 'depthMultiplier', notCounts, [2]],
    [layers.maxPooling2d, {}, 'poolSize', [...notCounts, [2]], [3, [2, 3]]],
    [layers.averagePooling1d, {}, 'strides', notCounts, [3]],
    [layers.dropout, {}, 'rate', notRates, [0, 0.5, 1]],
    [layers.spatialDropout2d, {}, 'rate', notRates, [0.5]],
    [layers.dropout, { rate: 0.5 }, 'seed', [1.5, 'a'], [7]],
    [layers.gaussianNoise, {}, 'stddev', notRates, [0.1]],
    [layers.batchNormalization, {}, 'momentum', notRates, [0, 0.9, 1]],
    [layers.batchNormalization, {}, 'epsilon', [-1e-3, '0.1', Number.NaN], [0, 1e-5]],
    [layers.batchNormalization, {}, 'axis', [1.5, 'last'], [1, -1]],
    [layers.layerNormalization, {}, 'axis', [1.5, ['a']], [1, [1, 2]]],
    [layers.layerNormalization, {}, 'epsilon', [-1], [1e-6]],
    [layers.leakyRelu, {}, 'negativeSlope', [-1, 'a'], [0, 0.2]],
    [layers.relu, {}, 'maxValue', [-1, Number.NEGATIVE_INFINITY], [6, Number.POSITIVE_INFINITY]],
    [layers.relu, {}, 'threshold', [-1], [1]],
    [layers.lstm, {}, 'units', notCounts, [4]],
    // As in Keras, other numbers are brought to 0 … 1.
    [layers.lstm, { units: 1 }, 'dropout', ['0.5', Number.NaN], [0.5, 1.5, -1]],
    [layers.multiHeadAttention, { keyDim: 2 }, 'numHeads', notCounts, [2]],
    [layers.multiHeadAttention, { keyDim: 2, numHeads: 2 }, 'dropout', notRates, [0.1]],
    [layers.concatenate, {}, 'axis', ['last', 0.5], [1, -1]],
    [
      layers.rescaling,
      {},
      'scale',
      ['1/255', Number.NaN, ['a']],
      [1 / 255, [1, 2, 3], [[1, 2]], Float32Array.of(1, 2)],
    ],
    [layers.repeatVector, {}, 'n', notCounts, [2]],
    [layers.masking, {}, 'maskValue', ['x', Number.NaN], [-1, Number.NEGATIVE_INFINITY]],
    [layers.discretization, {}, 'binBoundaries', [3, ['a']], [[0, 1], Float64Array.of(0, 1)]],
    [layers.randomRotation, {}, 'factor', ['a', 2, [0, 2], [1]], [0.1, [-0.1, 0.2]]],
    [layers.activityRegularization, {}, 'l1', [-1, 'a'], [0.1]],
  ],
  optimizers: [
    [optimizers.adam, {}, 'learningRate', [-1, '0.1', Number.NaN, Number.POSITIVE_INFINITY], [0, 0.1]],
    [optimizers.adam, {}, 'beta1', [-0.1, 1, '0.9', Number.NaN], [0, 0.9]],
    [optimizers.adam, {}, 'beta2', [-0.1, 1], [0.999]],
    [optimizers.adam, {}, 'epsilon', [-1, '1e-7', Number.NaN], [0, 1e-7]],
    [optimizers.adam, {}, 'clipnorm', [-1, 0, 'a'], [1]],
    [optimizers.adam, {}, 'globalClipnorm', [-1], [1]],
    [optimizers.adam, {}, 'clipvalue', [-1, Number.NaN], [0.5]],
    [optimizers.adamW, {}, 'weightDecay', [-0.1, '0.1', Number.NaN], [0, 0.01]],
    [optimizers.adam, {}, 'emaMomentum', notRates, [0.99]],
    [optimizers.adam, {}, 'emaOverwriteFrequency', notCounts, [10]],
    [optimizers.adam, {}, 'gradientAccumulationSteps', notCounts, [4]],
    [optimizers.sgd, {}, 'momentum', notRates, [0, 0.9, 1]],
    [optimizers.sgd, {}, 'nesterov', ['yes'], [true]],
    [optimizers.rmsprop, {}, 'rho', notRates, [0.9]],
    [optimizers.rmsprop, {}, 'momentum', notRates, [0.9]],
    [optimizers.adagrad, {}, 'initialAccumulatorValue', [-1], [0, 0.1]],
    [optimizers.adadelta, {}, 'rho', notRates, [0.95]],
    [optimizers.lion, {}, 'beta1', notRates, [0.9]],
    [optimizers.ftrl, {}, 'learningRatePower', [0.5], [-0.5, 0]],
    [optimizers.ftrl, {}, 'l1RegularizationStrength', [-1], [0.1]],
  ],
  schedules: [
    [
      schedules.exponentialDecay,
      { decaySteps: 9, decayRate: 0.9 },
      'initialLearningRate',
      [-1, '1', Number.NaN],
      [0.1],
    ],
    [schedules.exponentialDecay, { initialLearningRate: 1, decayRate: 0.9 }, 'decaySteps', [0, -1, 'a'], [10, 0.5]],
    [schedules.exponentialDecay, { initialLearningRate: 1, decaySteps: 9 }, 'decayRate', [-1, 'a'], [0.9]],
    [schedules.cosineDecay, { initialLearningRate: 1, decaySteps: 9 }, 'alpha', [-1, Number.NaN], [0.1]],
    [schedules.cosineDecay, { initialLearningRate: 1, decaySteps: 9 }, 'warmupSteps', [-1], [5]],
    [schedules.piecewiseConstantDecay, { boundaries: [5] }, 'values', ['a', [1, 'b'], [1]], [[1, 0.1]]],
  ],
  losses: [
    [losses.categoricalCrossentropy, {}, 'labelSmoothing', notRates, [0, 0.1, 1]],
    [losses.binaryCrossentropy, {}, 'fromLogits', ['yes'], [true]],
    [losses.huber, {}, 'delta', [0, -1, 'a'], [0.5]],
    [losses.binaryFocalCrossentropy, {}, 'gamma', [-1, 'a'], [0, 2]],
    [losses.binaryFocalCrossentropy, {}, 'alpha', notRates, [0.25]],
    [losses.categoricalFocalCrossentropy, {}, 'alpha', [-1, 'a'], [0.25, [0.1, 0.9]]],
    [losses.categoricalGeneralizedCrossEntropy, {}, 'q', [0, 1, -1], [0.5]],
    [losses.tversky, {}, 'beta', [-1], [0.3]],
    [losses.meanSquaredError, {}, 'reduction', ['average', 3], ['sum', null]],
  ],
  metrics: [
    [metrics.topKCategoricalAccuracy, {}, 'k', notCounts, [3]],
    [metrics.precision, {}, 'thresholds', [-1, 2, [0.5, 2], 'a'], [0.5, [0.2, 0.8]]],
    [metrics.precision, {}, 'topK', notCounts, [3]],
    [metrics.recall, {}, 'classId', [0.5, 'a'], [0, -1]],
    [metrics.binaryAccuracy, {}, 'threshold', ['a', Number.NaN], [0.5, 0]],
    [metrics.auc, {}, 'numThresholds', [1, 1.5, 'a'], [2, 200]],
    [metrics.auc, {}, 'thresholds', [0.5, [2], ['a']], [[0.2, 0.4]]],
    [metrics.auc, {}, 'curve', ['area'], ['PR']],
    [metrics.meanIoU, {}, 'numClasses', notCounts, [3]],
    [metrics.fBetaScore, {}, 'beta', [0, -1, 'a'], [2]],
    [metrics.fBetaScore, {}, 'threshold', [0, 1.5], [0.5, 1]],
    [metrics.r2Score, {}, 'numRegressors', [-1, 0.5], [0, 3]],
    [metrics.sensitivityAtSpecificity, {}, 'specificity', notRates, [0.9]],
  ],
  callbacks: [
    [callbacks.earlyStopping, {}, 'patience', [-1, 1.5, '3', Number.NaN], [0, 5, Number.POSITIVE_INFINITY]],
    [callbacks.earlyStopping, {}, 'minDelta', ['a', Number.NaN], [0.01, -0.01]],
    [callbacks.earlyStopping, {}, 'mode', ['up'], ['max']],
    [callbacks.earlyStopping, {}, 'monitor', [3], ['loss']],
    [callbacks.earlyStopping, {}, 'startFromEpoch', [-1], [2]],
    [callbacks.earlyStopping, {}, 'baseline', ['a'], [0.5, Number.POSITIVE_INFINITY]],
    [callbacks.reduceLROnPlateau, {}, 'factor', [1, 2, -0.1, 'a'], [0, 0.5]],
    [callbacks.reduceLROnPlateau, {}, 'cooldown', [-1, 0.5], [3]],
    [callbacks.reduceLROnPlateau, {}, 'minLr', [-1, 'a'], [1e-5]],
  ],
  others: [
    [initializers.randomNormal, {}, 'stddev', [-1, 'a', Number.NaN], [0, 0.1]],
    [initializers.constant, {}, 'value', ['a', Number.NaN], [3, Number.NEGATIVE_INFINITY]],
    [initializers.varianceScaling, {}, 'mode', ['fanIn', 'in'], ['fan_in']],
    [initializers.varianceScaling, {}, 'scale', [0, -1], [2]],
    [initializers.glorotUniform, {}, 'seed', [1.5, 'a'], [3]],
    [regularizers.l2, {}, 'l2', [-1, 'a', Number.NaN], [0.01]],
    [constraints.maxNorm, {}, 'maxValue', [-1, 'a'], [2, Number.POSITIVE_INFINITY]],
    [constraints.minMaxNorm, {}, 'rate', notRates, [0.5]],
  ],
};

describe.each(Object.entries(rows))('values of options of %s', (_, list) => {
  test.each(list.map((row): [string, Row] => [`${row[0].name || 'a loss or metric'} ${row[2]}`, row]))(
    '%s',
    (_name, [make, needed, option, refused, taken]) => {
      for (const value of refused) bad(() => make({ ...needed, [option]: value } as never), option);
      for (const value of taken) expect(make({ ...needed, [option]: value } as never)).toBeTypeOf('object');
      // Nothing, as null and undefined, means the default; what must be given is tested with the factories.
    },
  );
});

test('a file of Keras opens with numbers that no program should write', () => {
  const configs: [resolve: (config: never) => unknown, className: string, config: object][] = [
    [losses.get, 'Tversky', { alpha: -0.3 }],
    [losses.get, 'BinaryCrossentropy', { label_smoothing: 1.2 }],
    [optimizers.get, 'Adam', { beta_1: 1, weight_decay: false }],
    [optimizers.get, 'RMSprop', { momentum: 1.5, rho: -0.5 }],
    [initializers.get, 'Constant', { value: true }],
    [constraints.get, 'MaxNorm', { max_value: -1 }],
  ];
  for (const [resolve, class_name, config] of configs) {
    expect(resolve({ class_name, config } as never)).toBeTypeOf('object');
    const word = Object.fromEntries(Object.keys(config).map((key) => [key, 'a']));
    bad(() => resolve({ class_name, config: word } as never), class_name);
  }
  // What a program writes later is asked again.
  bad(() => losses.tversky({ alpha: -0.3 }), 'Tversky: alpha must be a number >= 0, got -0.3.');
  const weights = { class_name: '__tensor__', config: { value: [0.5, 1], dtype: 'float32' } };
  expect(
    metrics.get({ class_name: 'AUC', config: { multi_label: true, label_weights: weights } } as never),
  ).toMatchObject({ labelWeights: [0.5, 1] });
});

test('the message says what was expected and what came', () => {
  bad(() => layers.dropout({ rate: 50 }), 'Dropout: rate must be a number from 0 to 1, got 50.');
  bad(
    () => optimizers.adam({ beta1: '0.9' as never }),
    'Adam: beta1 must be a number from 0 to below 1, got the string "0.9".',
  );
  bad(() => callbacks.earlyStopping({ patience: 2.5 }), 'EarlyStopping: patience must be an integer >= 0, got 2.5.');
  bad(
    () => layers.dense({ units: 1, inputShape: 784 as never }),
    'the sizes of one row without the batch, like [28, 28, 1] (null: any length), got 784.',
  );
});

test('a checkpoint and a log file say what they need', () => {
  bad(
    () => callbacks.modelCheckpoint('best.keras', { saveFreq: 0 }),
    "saveFreq must be 'epoch' or an integer >= 1, got 0.",
  );
  bad(() => callbacks.csvLogger('log.csv', { append: 'yes' as never }), 'append must be true or false');
});

test('a misspelt hook is named, as it would never be called', () => {
  bad(
    () => callbacks.lambdaCallback({ onEpochend: () => {} } as never),
    'unknown option "onEpochend"; did you mean "onEpochEnd"?',
  );
});

test('hooks that are not called are refused, other keys are the own affair of a callback', () => {
  for (const hook of ['onTestBatchBegin', 'onTestBatchEnd', 'onPredictBegin', 'onPredictBatchEnd']) {
    bad(() => callbacks.lambdaCallback({ [hook]: () => {} } as never), `${hook} is not called here`);
    bad(() => new CallbackList([{ [hook]: () => {} } as never]), `callbacks: ${hook} is not called here`);
  }
  expect(() => new CallbackList([{ once: true, online: 1, only: 'x', onEpochEnd() {} } as never])).not.toThrow();
});

test('a short list is shown, a long one is counted', () => {
  const of =
    (targetShape: unknown): (() => unknown) =>
    () =>
      layers.reshape({ targetShape } as never);
  bad(of([null, '6']), 'targetShape must be a list, each an integer, got [null, "6"].');
  bad(of([[1, 2]]), 'got [[1, 2]].');
  bad(of(Array.from({ length: 9 }, () => 0.5)), 'got a list of 9.');
});

test('the direction of a metric of the own may be given', () => {
  const mine = new metrics.MeanMetric((yTrue) => yTrue as Tensor, { name: 'mine', direction: 'up' });
  expect(mine.direction).toBe('up');
  expect(mine.getConfig()).toEqual({ name: 'mine' });
  bad(
    () => new metrics.MeanMetric((yTrue) => yTrue as Tensor, { direction: 'left' as never }),
    'direction must be one',
  );
});
