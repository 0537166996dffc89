import type { OpCase } from './case.js';
import { alongCases } from './cases/along.js';
import { attentionCases } from './cases/attention.js';
import { bfloat16Cases } from './cases/bfloat16.js';
import { broadcastCases } from './cases/broadcast.js';
import { decomposeCases } from './cases/decompose.js';
import { elementwiseCases } from './cases/elementwise.js';
import { lookupCases } from './cases/lookup.js';
import { matmulCases } from './cases/matmul.js';
import { moveCases } from './cases/move.js';
import { passCases } from './cases/passes.js';
import { quantizedCases } from './cases/quantized.js';
import { recurrentCases } from './cases/recurrent.js';
import { emptyCases, reduceCases } from './cases/reduce.js';
import { standardizeCases } from './cases/standardize.js';
import { windowCases } from './cases/window.js';

/** THE table: a row per op and situation. The suites beside this file run every row; an op without one fails. */
export const cases: OpCase[] = [
  ...elementwiseCases,
  ...broadcastCases,
  ...reduceCases,
  ...emptyCases,
  ...alongCases,
  ...standardizeCases,
  ...matmulCases,
  ...windowCases,
  ...moveCases,
  ...recurrentCases,
  ...attentionCases,
  ...lookupCases,
  ...decomposeCases,
  ...quantizedCases,
  ...bfloat16Cases,
  ...passCases,
];

/** Ops with rows of their own kind: what they draw is judged by statistics and by the Philox definition. */
export const randomOps = [
  'randomUniform',
  'randomNormal',
  'randomTruncatedNormal',
  'randomBernoulli',
  'randomBits',
  'permutation',
  'seedNext',
  'dropout',
  'orthogonal',
];
