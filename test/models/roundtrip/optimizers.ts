import { type Optimizer, optimizers, schedules } from '../../../lib/index.js';

/** Optimizers whose state goes to Keras in the middle of a training, one row for each shape of that state. */
export const optimizerCases: Record<string, () => Optimizer> = {
  SGD: () => optimizers.sgd({ learningRate: 0.05 }),
  'SGD with momentum': () => optimizers.sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
  Adam: () => optimizers.adam({ learningRate: 0.01 }),
  'Adam amsgrad': () => optimizers.adam({ learningRate: 0.01, amsgrad: true, clipnorm: 1 }),
  AdamW: () => optimizers.adamW({ learningRate: 0.01, weightDecay: 0.02 }),
  RMSprop: () => optimizers.rmsprop({ learningRate: 0.01 }),
  'RMSprop centered': () => optimizers.rmsprop({ learningRate: 0.01, momentum: 0.5, centered: true }),
  Adagrad: () => optimizers.adagrad({ learningRate: 0.05 }),
  Adadelta: () => optimizers.adadelta({ learningRate: 1 }),
  Adamax: () => optimizers.adamax({ learningRate: 0.01 }),
  Nadam: () => optimizers.nadam({ learningRate: 0.01 }),
  Lion: () => optimizers.lion({ learningRate: 0.001 }),
  Ftrl: () => optimizers.ftrl({ learningRate: 0.05 }),
  'moving average': () => optimizers.adam({ learningRate: 0.01, useEma: true, emaOverwriteFrequency: 2 }),
  'accumulated gradients': () => optimizers.adam({ learningRate: 0.01, gradientAccumulationSteps: 3 }),
  'piecewise schedule': () =>
    optimizers.adam({
      learningRate: schedules.piecewiseConstantDecay({ boundaries: [3, 14], values: [0.1, 1, 0.01] }),
    }),
  'restarts schedule': () =>
    optimizers.sgd({ learningRate: schedules.cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 6 }) }),
  schedule: () =>
    optimizers.sgd({
      learningRate: schedules.exponentialDecay({ initialLearningRate: 0.1, decaySteps: 5, decayRate: 0.7 }),
      momentum: 0.5,
    }),
};
