import type { Tensor } from '../../graph/index.js';
import * as layers from '../../layers/index.js';
import { functional, type Model } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import { uniform } from '../data.js';
import { callContender, type Unit, type Workload } from '../workload.js';

function normalized(x: Tensor, filters: number, kernelSize: number, strides = 1): Tensor {
  // PyTorch pads both sides alike, also where the stride is two.
  const padded =
    kernelSize > 1 && strides > 1 ? layers.zeroPadding2d({ padding: Math.floor(kernelSize / 2) }).apply(x) : x;
  const padding = padded === x ? 'same' : 'valid';
  const conv = layers.conv2d({ filters, kernelSize, strides, padding, useBias: false });
  return layers.batchNormalization({ epsilon: 1e-5 }).apply(conv.apply(padded));
}

const relu = (x: Tensor) => layers.relu().apply(x);

function bottleneck(x: Tensor, width: number, strides: number): Tensor {
  let y = relu(normalized(x, width, 1));
  y = relu(normalized(y, width, 3, strides));
  y = normalized(y, 4 * width, 1);
  const short = strides === 1 && x.dims[3] === 4 * width ? x : normalized(x, 4 * width, 1, strides);
  return relu(layers.add().apply([y, short]));
}

/** ResNet-50 in its version 1.5, with the stride in the 3 x 3 convolution: 1000 logits, weights as Keras starts them. */
function resnet50(): Model {
  const inputs = layers.input({ shape: [224, 224, 3] });
  let x = relu(normalized(inputs, 64, 7, 2));
  x = layers.maxPooling2d({ poolSize: 3, strides: 2 }).apply(layers.zeroPadding2d({ padding: 1 }).apply(x));
  const stages = [
    [64, 3],
    [128, 4],
    [256, 6],
    [512, 3],
  ] as const;
  for (const [width, count] of stages)
    for (let i = 0; i < count; i++) x = bottleneck(x, width, i === 0 && width > 64 ? 2 : 1);
  const outputs = layers.dense({ units: 1000 }).apply(layers.globalAveragePooling2d().apply(x));
  return functional({ inputs, outputs });
}

function classification(batch: number): Unit {
  return {
    name: `inf${batch}`,
    what: `predictions of ${batch} ${batch === 1 ? 'image' : 'images'} of 224 x 224`,
    flop: 8.2e9 * batch,
    bytes: 102e6,
    contender: () =>
      callContender(async () => {
        const model = resnet50();
        const x = new NDArray(uniform(1, batch, 224, 224, 3), [batch, 224, 224, 3]);
        return { call: () => model.predict(x, { batchSize: batch }) };
      }),
  };
}

export const imageNetwork: Workload = {
  id: 'W7',
  name: 'ResNet-50, inference',
  units: [classification(1), classification(8)],
};
