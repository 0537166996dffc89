import { Model } from '../../models/index.js';
import type { Unit, Workload } from '../workload.js';

/** Integer weights arrive with `model.quantize`; the shapes and work are those of W2 and W5. */
const missing = 'quantize' in Model.prototype ? 'its workloads are not written yet' : 'there is no model.quantize yet';

const unit = (name: string, what: string, flop: number, bytes?: number): Unit => ({
  name,
  what,
  flop,
  ...(bytes ? { bytes, from: 'cache' as const } : {}),
  missing,
  contender: () => {
    throw new Error(missing);
  },
});

export const quantized: Workload = {
  id: 'W18',
  name: 'int8 inference',
  units: [
    unit('int8-m1', 'Dense(1024) with int8 weights, 1 row', 2_097_152, 1_048_576),
    unit('int8-m64', 'Dense(1024) with int8 weights, 64 rows', 134_217_728, 1_048_576),
    unit('int8-cnn', 'predictions of 128 images', 624.9e6),
  ],
};
