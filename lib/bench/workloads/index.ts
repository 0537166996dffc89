import type { Workload } from '../workload.js';
import { mobileBlock, residualBlock } from './blocks.js';
import { digitsConvolution } from './convolutional.js';
import { autoencoder, digitsNetwork, tabularNetwork } from './dense.js';
import { rowsAndElements } from './elementwise.js';
import { digitsFit, quickstartFit } from './fit.js';
import { babyGpt } from './language.js';
import { tinyNetwork } from './latency.js';
import { optimizerAlone } from './optimizer.js';
import { layerInference, matrixProducts } from './products.js';
import { quantized } from './quantized.js';
import { gatedUnits, longShortTermMemory } from './recurrent.js';
import { imageNetwork } from './residual.js';
import { startup } from './startup.js';
import { sentiment } from './text.js';
import { encoder } from './transformer.js';

/** The workloads of the benchmark; the numbers are those of the project's benchmark plan (docs/benchmarks.md). */
export const workloads: readonly Workload[] = [
  matrixProducts,
  layerInference,
  tabularNetwork,
  digitsNetwork,
  digitsConvolution,
  residualBlock,
  imageNetwork,
  mobileBlock,
  longShortTermMemory,
  gatedUnits,
  sentiment,
  encoder,
  babyGpt,
  autoencoder,
  tinyNetwork,
  optimizerAlone,
  rowsAndElements,
  quantized,
  quickstartFit,
  digitsFit,
  startup,
];
