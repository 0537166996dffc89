import * as layers from '../../layers/index.js';
import type { QuantizationMode } from '../../layers/quantization.js';
import { sequential } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import { uniform } from '../data.js';
import { callContender, type Unit, type Workload } from '../workload.js';
import { digitsConvnet } from './convolutional.js';
import { batchOf, withFixedWeights } from './models.js';

// W2 and W5 after model.quantize.

/** From the calling thread, where onnxruntime-node, too, runs a session. */
function dense(mode: QuantizationMode, rows: number): Unit {
  const short = mode === 'int8' ? mode : 'bf16';
  return {
    name: `${short}-m${rows}`,
    what: `Dense(1024) with ${mode} weights, ${rows === 1 ? '1 row' : `${rows} rows`}`,
    // No floor by operations of int8: the machine's peak is measured in float32.
    ...(mode === 'bfloat16' && { flop: 2 * rows * 1024 ** 2 }),
    bytes: (mode === 'int8' ? 1 : 2) * 1024 ** 2 + 4 * (2 * 1024 + 2 * rows * 1024),
    from: 'cache',
    contender: () =>
      callContender(async () => {
        const model = await withFixedWeights(sequential([layers.dense({ units: 1024, inputShape: [1024] })]));
        await model.quantize(mode);
        const x = new NDArray(uniform(1, rows, 1024), [rows, 1024]);
        const [row, out] = [uniform(1, 1024), new Float32Array(1024)];
        return {
          call: () => {
            if (rows > 1) model.predictSync(x);
            else model.predictSync(row, out);
          },
        };
      }),
  };
}

export const quantized: Workload = {
  id: 'W18',
  name: 'inference with weights in fewer bits',
  units: [
    dense('int8', 1),
    dense('int8', 64),
    dense('bfloat16', 1),
    dense('bfloat16', 64),
    {
      name: 'int8-cnn',
      what: 'predictions of 128 images',
      contender: () =>
        callContender(async () => {
          const model = await digitsConvnet(false);
          await model.quantize('int8', { convolutions: true });
          const { x } = batchOf([128, 28, 28, 1], 10);
          return { call: () => model.predict(x, { batchSize: 128 }) };
        }),
    },
  ],
};
