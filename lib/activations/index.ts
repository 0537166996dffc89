import { type Serialized, setConverter } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { snakeCase } from '../names.js';
import { Registry } from '../registry.js';
import * as functions from './functions.js';

export * from './functions.js';

export type Activation = (x: Tensor) => Tensor;
type Takes<F> = F extends (x: infer X) => Tensor ? (Tensor extends X ? true : false) : false;
/** The functions that need no options of their own. */
export type ActivationName =
  | { [K in keyof typeof functions]: Takes<(typeof functions)[K]> extends true ? K : never }[keyof typeof functions]
  | 'swish'
  | 'hardSwish';
export type ActivationSpec = ActivationName | Activation | Serialized;

const registry = new Registry<Activation>('activation');
for (const [name, fn] of Object.entries(functions)) if (name !== 'threshold') registry.add(fn as Activation, name);
registry.add(functions.silu, 'swish').add(functions.hardSilu, 'hardSwish');

/** The function of a name; none given is linear (https://keras.io/api/layers/activations/). */
export function resolveActivation(spec: ActivationSpec | null | undefined): Activation {
  if (spec === undefined || spec === null) return functions.linear;
  if (typeof spec === 'function') return spec;
  if (typeof spec === 'string') return registry.get(spec);
  const name = spec.class_name === 'function' ? String(spec.config) : spec.class_name;
  if (typeof name === 'string') return registry.get(name);
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `activation: a name or a function is expected, got ${String(spec)}.`,
  );
}

/** The name of a built-in activation in Keras's form. */
export function activationName(activation: Activation): string | undefined {
  const name = registry.nameOf(activation);
  return name === undefined ? undefined : snakeCase(name);
}

setConverter('activation', (value) => activationName(value as Activation) ?? (value as Activation).name);

/** The function of a name, and its name in Keras's form. */
export const get = resolveActivation;
export const serialize = activationName;
