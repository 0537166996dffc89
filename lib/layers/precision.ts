import { ChainruleError, shown } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { cast } from '../ops/operands.js';

// Keras's policy mixed_bfloat16 (https://keras.io/api/mixed_precision/): weights are float32, and what goes into a layer,
// its weights as it reads them and what comes out of it are rounded to bfloat16. Inside, layers compute in float32.

/** How layers compute: in float32, or on numbers of bfloat16 with weights in float32. */
export type DtypePolicy = 'float32' | 'mixedBfloat16';

/** Keras's names, by ours and by themselves. */
const policies: Readonly<Record<string, string>> = {
  float32: 'float32',
  mixedBfloat16: 'mixed_bfloat16',
  mixed_bfloat16: 'mixed_bfloat16',
};

/** The name of a policy in Keras's files, or undefined for one that is not supported. */
export const policyName = (name: string): string | undefined =>
  Object.hasOwn(policies, name) ? policies[name] : undefined;

let current: DtypePolicy = 'float32';

/**
 * The policy of layers that are made from now on without a `dtype`: `'float32'`, the default, or `'mixedBfloat16'`
 * (keras.config.set_dtype_policy). Weights and the optimizer stay in float32, and no scaling of the loss is needed.
 */
export function setDtypePolicy(policy: DtypePolicy): void {
  const name = policyName(String(policy));
  if (typeof policy !== 'string')
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `setDtypePolicy: the policy is 'float32' or 'mixedBfloat16', got ${shown(policy)}.`,
    );
  if (!name) throw unsupported('setDtypePolicy', policy);
  current = name === 'float32' ? name : 'mixedBfloat16';
}

export function getDtypePolicy(): DtypePolicy {
  return current;
}

export function unsupported(where: string, name: unknown): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `${where}: dtype ${typeof name === 'string' ? `"${name}"` : shown(name)} is not supported; layers compute in float32, or with "mixedBfloat16" on numbers rounded to bfloat16.`,
  );
}

/** The nearest numbers of bfloat16, in float32; with what is known of the tensor. */
export const rounded = (x: Tensor): Tensor => known(x, cast(cast(x, 'bfloat16'), 'float32'));

/** As float32, whatever it is stored in. */
export const widened = (x: Tensor): Tensor => (x.dtype === 'float32' ? x : known(x, cast(x, 'float32')));

/** Stored as bfloat16, rounded to the nearest. */
export const narrowed = (x: Tensor): Tensor => (x.dtype === 'float32' ? known(x, cast(x, 'bfloat16')) : x);

/** With what is known of the tensor that it was made of. */
export function known(from: Tensor, to: Tensor): Tensor {
  to.mask = from.mask;
  to.logits = from.logits;
  to.lastStepOf = from.lastStepOf;
  to.standsFor = from.standsFor;
  return to;
}
