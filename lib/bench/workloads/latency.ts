import { callContender, type Workload } from '../workload.js';
import { denseNetwork } from './models.js';

async function tinyPrediction(): Promise<{ call: () => undefined }> {
  const model = await denseNetwork([8, 16, 16, 3], 'sparseCategoricalCrossentropy');
  const [row, out] = [new Float32Array(8), new Float32Array(3)];
  await model.warmup({ batchSizes: [1] });
  return {
    call: () => {
      model.predictSync(row, out);
    },
  };
}

export const tinyNetwork: Workload = {
  id: 'W15',
  name: 'tiny MLP, predictSync',
  units: [{ name: 'predict', what: 'one prediction of one row', contender: () => callContender(tinyPrediction) }],
};
