import { expect, test } from 'vitest';
import { compute, layers, NDArray, ops, setRandomSeed, type Tensor } from '../../lib/index.js';

const numbers = (...shape: number[]): NDArray =>
  new NDArray(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(Math.sin(i * 12.9898 + 1))),
    shape,
  );

test.each([{}, { goBackwards: true }, { dropout: 0.4 }, { unitForgetBias: false, useBias: false }])(
  'windows of one place are an LSTM at each place: %o',
  async (options) => {
    setRandomSeed(5);
    const conv = layers.convLstm1d({ filters: 3, kernelSize: 1, returnSequences: true, ...options });
    const plain = layers.lstm({ units: 3, returnSequences: true, ...options });
    conv.build([null, 4, 5, 2]);
    plain.build([null, 4, 2]);
    const weights = await conv.getWeights();
    await plain.setWeights(weights.map((weight, i) => new NDArray(weight.data, plain.weights[i]!.shape)));
    const x = numbers(2, 4, 5, 2);
    const [a, b] = await compute(() => {
      // [N, steps, places, channels]: places are rows of the plain layer.
      const rows = ops.reshape(ops.transpose(x, [0, 2, 1, 3]), [10, 4, 2]);
      const back = ops.transpose(ops.reshape(plain.apply(rows), [2, 5, 4, 3]), [0, 2, 1, 3]);
      return [conv.apply(ops.cast(x, 'float32')), back];
    });
    expect(a!.shape).toEqual([2, 4, 5, 3]);
    a!.data.forEach((value, i) => {
      expect(value).toBeCloseTo(b!.data[i]!, 6);
    });
  },
);

test('channels first is channels last with the axes moved', async () => {
  setRandomSeed(6);
  const options = { filters: 2, kernelSize: [3, 2], padding: 'same', returnState: true } as const;
  const last = layers.convLstm2d(options);
  const first = layers.convLstm2d({ ...options, dataFormat: 'channelsFirst' });
  last.build([null, 3, 4, 5, 2]);
  first.build([null, 3, 2, 4, 5]);
  await first.setWeights(await last.getWeights());
  const x = numbers(2, 3, 4, 5, 2);
  const [a, b] = await compute(() => {
    const moved = first.apply<Tensor[]>(ops.transpose(x, [0, 1, 4, 2, 3]));
    const plain = last.apply<Tensor[]>(ops.cast(x, 'float32'));
    return [ops.stack(plain), ops.stack(moved.map((part) => ops.transpose(part, [0, 2, 3, 1])))];
  });
  expect(a!.shape).toEqual([3, 2, 4, 5, 2]);
  expect(b!.data).toEqual(a!.data);
});

test('the config is the one of Keras', () => {
  const layer = layers.convLstm2d({ filters: 2, kernelSize: 3, strides: [1, 2], recurrentActivation: 'hardSigmoid' });
  const config = layer.getConfig();
  expect(config).toMatchObject({
    filters: 2,
    kernel_size: [3, 3],
    strides: [1, 2],
    padding: 'valid',
    data_format: 'channels_last',
    dilation_rate: [1, 1],
    unit_forget_bias: true,
  });
  for (const key of ['units', 'implementation', 'use_cudnn']) expect(config).not.toHaveProperty(key);
  expect(layers.ConvLSTM2D.fromConfig(config).getConfig()).toEqual(config);
  expect(() => layers.convLstm1d({ filters: 2, kernelSize: 3, strides: 2, dilationRate: 2 })).toThrow(
    /cannot be combined/,
  );
});
