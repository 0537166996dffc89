import { expect, test } from 'vitest';
import { checkLibrary, checkNative } from '../../scripts/check-layering.mjs';

// A guard that never fires is no guard: each rule is shown a file that breaks it.

test.each([
  ['native/ir/x.cpp', '#include "node/addon.cpp"', /ir may include ir, base only/],
  ['native/ir/x.cpp', '#include <napi.h>', /only native\/node/],
  ['native/cpu/x.cpp', '#pragma omp parallel', /OpenMP/],
  ['native/node/x.cpp', '#include "addon.cpp"', /write the path from native/],
  ['native/runtime/executor.cpp', '#include "ir/graph.h"', /no|never looks at a graph|write the path/],
  ['native/other/x.cpp', '', /no layer/],
])('%s with %s', (file, text, problem) => {
  expect(checkNative(file, text).join()).toMatch(problem);
});

test.each([
  ['lib/ops/math.ts', "import { fit } from '../models/fit.js';", 1],
  ['lib/ops/math.ts', "import {\n  a,\n  b,\n} from '../layers/dense.js';", 1],
  ['lib/ops/math.ts', "const m = await import('../models/fit.js');", 1],
  ['lib/ops/math.ts', "export { fit } from '../models/fit.js';", 1],
  ['lib/losses/mse.ts', "import { x } from '../metrics/mean.js';", 1],
  ['lib/ops/math.ts', "import type { Model } from '../models/model.js';", 0],
  ['lib/ops/math.ts', "import { type Model } from '../models/model.js';", 0],
  ['lib/models/fit.ts', "import { dense } from '../layers/dense.js';\nimport { a } from './model.js';", 0],
])('%s with %s', (file, text, problems) => {
  expect(checkLibrary(file, text)).toHaveLength(problems);
});
