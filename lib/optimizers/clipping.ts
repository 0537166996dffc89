import { ChainruleError, shown } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { add, divide, isfinite, clip as limit, maximum, minimum, multiply, sqrt, square, where } from '../ops/math.js';
import { float } from '../ops/operands.js';
import { sum } from '../ops/reduce.js';
import { above, checkValues, required } from '../rules.js';

export interface ClipOptions {
  /** Each gradient alone is scaled down to this L2 norm. */
  clipnorm?: number | null;
  /** All gradients together are scaled down to this L2 norm. */
  globalClipnorm?: number | null;
  /** Every element is limited to ± this. */
  clipvalue?: number | null;
}

/** Clips gradients by the one rule that is set. */
export function clip(grads: readonly Tensor[], { clipnorm, globalClipnorm, clipvalue }: ClipOptions): Tensor[] {
  if (clipnorm)
    return grads.map((grad) => multiply(grad, divide(clipnorm, maximum(sqrt(sum(square(grad))), clipnorm))));
  if (clipvalue) return grads.map((grad) => limit(grad, -clipvalue, clipvalue));
  return globalClipnorm ? clipByGlobalNorm(grads, globalClipnorm) : [...grads];
}

/** √Σ‖g‖² over all gradients. */
export function globalNorm(grads: readonly (Tensor | null)[]): Tensor {
  if (!Array.isArray(grads))
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `globalNorm: a list of gradients is expected, got ${shown(grads)}.`,
    );
  const squares = grads.flatMap((grad) => (grad ? [sum(square(grad))] : []));
  return sqrt(squares.length > 0 ? squares.reduce((total, one) => add(total, one)) : float(0));
}

/** Scales gradients together so that their global norm is at most `clipNorm`; NaN when the norm is not finite. */
export function clipByGlobalNorm<G extends Tensor | null>(grads: readonly G[], clipNorm: number): G[] {
  checkValues('clipByGlobalNorm', { clipNorm }, { clipNorm: required(above(0), '1') });
  const norm = globalNorm(grads);
  const scale = multiply(minimum(divide(1, norm), 1 / clipNorm), clipNorm);
  const safe = where(isfinite(norm), scale, Number.NaN);
  return grads.map((grad) => (grad ? multiply(grad, safe) : grad) as G);
}
