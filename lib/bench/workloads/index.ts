import type { Workload } from '../workload.js';
import { digitsConvolution } from './convolutional.js';
import { autoencoder, digitsNetwork, tabularNetwork } from './dense.js';
import { rowsAndElements } from './elementwise.js';
import { digitsFit, quickstartFit } from './fit.js';
import { tinyNetwork } from './latency.js';
import { optimizerAlone } from './optimizer.js';
import { layerInference, matrixProducts } from './products.js';
import { gatedUnits, longShortTermMemory } from './recurrent.js';
import { sentiment } from './text.js';
import { encoder } from './transformer.js';

/** The workloads of the benchmark; the numbers are those of the project's benchmark plan (docs/benchmarks.md). */
export const workloads: readonly Workload[] = [
  matrixProducts,
  layerInference,
  tabularNetwork,
  digitsNetwork,
  digitsConvolution,
  longShortTermMemory,
  gatedUnits,
  sentiment,
  encoder,
  autoencoder,
  tinyNetwork,
  optimizerAlone,
  rowsAndElements,
  quickstartFit,
  digitsFit,
];
