import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import type { Variable } from '../graph/variable.js';
import { cast } from '../ops/operands.js';

/** The weights that a loss depends on, with their gradients; names those that it does not reach. */
export function connected(
  grads: readonly (Tensor | null)[],
  variables: readonly Variable[],
): { variable: Variable; gradient: Tensor }[] {
  if (grads.length !== variables.length) {
    throw new ChainruleError(
      'ERR_CHAINRULE_GRADIENT',
      `optimizer: ${grads.length} gradients for ${variables.length} variables; pass them in the same order.`,
    );
  }
  const pairs = variables.flatMap((variable, i) =>
    grads[i] ? [{ variable, gradient: cast(grads[i]!, 'float32') }] : [],
  );
  if (pairs.length === 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_GRADIENT',
      'optimizer: the loss depends on none of the trainable weights; no gradient reaches them.',
    );
  const without = variables.filter((_, i) => !grads[i]).map((variable) => variable.path);
  if (without.length > 0) {
    process.emitWarning(
      `the loss does not depend on ${without.slice(0, 5).join(', ')}${without.length > 5 ? ` and ${without.length - 5} more` : ''}; they are not trained.`,
      'ChainruleWarning',
    );
  }
  return pairs;
}
