import { type Tensor, trace, valueAndGrad } from '../../graph/index.js';
import * as layers from '../../layers/index.js';
import { functional, type Model } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import * as ops from '../../ops/index.js';
import { adam } from '../../optimizers/index.js';
import type { Contender } from '../contender.js';
import { uniform } from '../data.js';
import { callContender, type Workload } from '../workload.js';
import { withFixedWeights } from './models.js';

/** Two convolutions with batch normalization around a shortcut, as in ResNet-18. */
function basicBlock(): Promise<Model> {
  const inputs = layers.input({ shape: [32, 32, 64] });
  const conv = (x: Tensor) =>
    layers
      .batchNormalization()
      .apply(layers.conv2d({ filters: 64, kernelSize: 3, padding: 'same', useBias: false }).apply(x));
  const y = conv(layers.relu().apply(conv(inputs)));
  return withFixedWeights(functional({ inputs, outputs: layers.relu().apply(layers.add().apply([y, inputs])) }));
}

/** Expand, filter each channel, project, add: MobileNetV2's block. */
function invertedBlock(): Promise<Model> {
  const inputs = layers.input({ shape: [56, 56, 24] });
  const plain = { padding: 'same', useBias: false } as const;
  const normalized = (layer: layers.Layer, x: Tensor) => layers.batchNormalization().apply(layer.apply(x));
  const relu6 = (x: Tensor) => layers.relu({ maxValue: 6 }).apply(x);
  let x = relu6(normalized(layers.conv2d({ filters: 144, kernelSize: 1, ...plain }), inputs));
  x = relu6(normalized(layers.depthwiseConv2d({ kernelSize: 3, ...plain }), x));
  x = normalized(layers.conv2d({ filters: 24, kernelSize: 1, ...plain }), x);
  return withFixedWeights(functional({ inputs, outputs: layers.add().apply([x, inputs]) }));
}

/** A block in the middle of a network: mean square as loss, the gradient of the input computed as well. */
function blockTraining(build: () => Promise<Model>, shape: readonly number[]): Contender {
  return callContender(async () => {
    const stepper = async () => {
      const model = await build();
      const weights = model.trainableWeights;
      const optimizer = adam();
      return trace(({ x }: { x: Tensor }) => {
        const { value, grads } = valueAndGrad(
          () => ops.mean(ops.square(model.apply(x, { training: true }))),
          [...weights, x],
        );
        optimizer.apply(grads.slice(0, -1), weights);
        return { loss: value, corner: ops.slice(grads.at(-1)!, [0, 0, 0, 0], [1, 1, 1, 1]) };
      });
    };
    const feed = { x: new NDArray(uniform(1, ...shape), shape) };
    const plain = await stepper();
    for (let step = 0; step < 10; step++) await plain.run(feed);
    const { loss } = await plain.run(feed);
    const step = await stepper();
    return { call: () => step.run(feed), loss: loss.data[0]! };
  });
}

export const residualBlock: Workload = {
  id: 'W6',
  name: 'ResNet basic block, training',
  units: [
    {
      name: 'tr',
      what: 'a training step on 32 x 32 x 32 x 64',
      flop: 14.5e9,
      contender: () => blockTraining(basicBlock, [32, 32, 32, 64]),
    },
  ],
};

const IMAGES = [16, 56, 56, 24];

export const mobileBlock: Workload = {
  id: 'W8',
  name: 'MobileNetV2 block',
  units: [
    {
      name: 'inf',
      what: 'predictions on 16 x 56 x 56 x 24',
      flop: 823.7e6,
      contender: () =>
        callContender(async () => {
          const model = await invertedBlock();
          const x = new NDArray(uniform(1, ...IMAGES), IMAGES);
          return { call: () => model.predict(x, { batchSize: 16 }) };
        }),
    },
    {
      name: 'tr',
      what: 'a training step on 16 x 56 x 56 x 24',
      flop: 2.47e9,
      contender: () => blockTraining(invertedBlock, IMAGES),
    },
  ],
};
