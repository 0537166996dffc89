import { ChainruleError } from '../errors.js';
import type { Trace } from '../graph/trace.js';
import { Lambda } from '../layers/lambda.js';
import type { Layer } from '../layers/layer.js';
import type { Model } from './model.js';

/**
 * A layer that the calls of a training step used, but that no property leads to: nothing would train or save it. Layers
 * with nothing to train (a frozen network that only measures) may stand outside, and so may what a trainStep calls itself.
 */
export function checkHidden(model: Model, trace: Trace): void {
  // A class may name further variables to train in a getter of its own.
  const held = new Set([...model.weights, ...model.trainableWeights]);
  for (const [inner, callers] of trace.inner as Map<Layer, readonly Layer[]>) {
    const missing = inner.trainableWeights.filter((variable) => !held.has(variable));
    if (missing.length === 0 || callers.some((caller) => caller instanceof Lambda)) continue;
    const outermost = new Set(callers[0]!.weights);
    if (missing.every((variable) => outermost.has(variable))) continue;
    const user = callers.at(-1)!.className;
    throw new ChainruleError(
      'ERR_CHAINRULE_STATE',
      `layer "${inner.name}" is used in ${user}.call but is in no property of ${user}: it would be neither trained nor saved. Keep it in a public field (fields that begin with # cannot be seen), made in the constructor.`,
      { details: { layer: inner.name } },
    );
  }
}
