import { glorot } from '../data.js';
import { latencies } from '../measure.js';
import { callContender, type Ready, type Workload } from '../workload.js';
import { denseNetwork } from './models.js';

const SIZES = [8, 16, 16, 3];

const measured = (call: () => void): Ready => ({
  call: () => {
    call();
    return undefined;
  },
  facts: () => ({ ...latencies(call) }),
});

async function tinyPrediction(): Promise<Ready> {
  const model = await denseNetwork(SIZES, 'sparseCategoricalCrossentropy');
  const [row, out] = [new Float32Array(8), new Float32Array(3)];
  await model.warmup({ batchSizes: [1] });
  return measured(() => {
    model.predictSync(row, out);
  });
}

/** What one can write without any framework: the same network as loops over typed arrays. */
async function handWritten(): Promise<Ready> {
  const layers = SIZES.slice(1).map((units, i) => ({
    kernel: glorot(1000 + i, SIZES[i]!, units),
    bias: new Float32Array(units),
    out: new Float32Array(units),
  }));
  const row = new Float32Array(8);
  return measured(() => {
    let x = row;
    layers.forEach(({ kernel, bias, out }, i) => {
      for (let unit = 0; unit < out.length; unit++) {
        let sum = bias[unit]!;
        for (let k = 0; k < x.length; k++) sum += x[k]! * kernel[k * out.length + unit]!;
        out[unit] = i + 1 < layers.length ? Math.max(sum, 0) : Math.exp(sum);
      }
      x = out;
    });
    const total = x.reduce((sum, value) => sum + value, 0);
    for (let unit = 0; unit < x.length; unit++) x[unit] = x[unit]! / total;
  });
}

export const tinyNetwork: Workload = {
  id: 'W15',
  name: 'tiny MLP, predictSync',
  units: [
    {
      name: 'predict',
      what: 'one prediction of one row',
      contender: () => callContender(tinyPrediction),
      beside: () => [callContender(handWritten, 'loops in JavaScript')],
    },
  ],
};
