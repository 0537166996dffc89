import type { Workload } from '../workload.js';
import { mobileBlock, residualBlock } from './blocks.js';
import { digitsConvolution } from './convolutional.js';
import { autoencoder, digitsNetwork, tabularNetwork } from './dense.js';
import { rowsAndElements } from './elementwise.js';
import { digitsFit, quickstartFit } from './fit.js';
import { gpuProducts } from './gpu_products.js';
import { gpuRows } from './gpu_rows.js';
import { gpuLstm, gpuTraining } from './gpu_training.js';
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

/** With `--device cuda`: those for GPUs, and training that needs nothing but another device. */
export const gpuWorkloads: readonly Workload[] = [
  gpuProducts,
  gpuTraining,
  gpuRows,
  gpuLstm,
  tabularNetwork,
  mobileBlock,
  sentiment,
  encoder,
];

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
