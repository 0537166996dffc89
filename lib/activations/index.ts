import { type Serialized, setConverter } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { snakeCase } from '../names.js';
import { findCustom } from '../registered.js';
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
/** A layer that serves as an activation (PReLU and the like). */
export interface ActivationLayer {
  apply(x: Tensor): unknown;
  readonly className: string;
}
export type ActivationSpec = ActivationName | Activation | ActivationLayer | Serialized;

const registry = new Registry<Activation>('activation');
for (const [name, fn] of Object.entries(functions)) if (name !== 'threshold') registry.add(fn as Activation, name);
registry.add(functions.silu, 'swish').add(functions.hardSilu, 'hardSwish');

/** What the layers, which come later, add: how a layer becomes a function, and goes into files and out of them. */
export interface LayerSupport {
  isLayer(value: unknown): value is ActivationLayer;
  resolve(saved: Serialized): ActivationLayer | undefined;
  serialize(layer: ActivationLayer): Serialized;
}
let support: LayerSupport | undefined;

/** @internal */
export function setLayerSupport(layers: LayerSupport): void {
  support = layers;
}

/** A layer as a function that knows its layer, so that the weights inside are found. */
function fromLayer(layer: ActivationLayer): Activation {
  return Object.assign((x: Tensor) => layer.apply(x) as Tensor, { layer });
}

/** The function of a name; none given is linear (https://keras.io/api/layers/activations/). */
export function resolveActivation(spec: ActivationSpec | null | undefined): Activation {
  if (spec === undefined || spec === null) return functions.linear;
  if (typeof spec === 'function') return spec;
  if (support?.isLayer(spec)) return fromLayer(spec);
  const layer = typeof spec === 'object' ? support?.resolve(spec as Serialized) : undefined;
  if (layer) return fromLayer(layer);
  const name = typeof spec === 'string' ? spec : savedName(spec as Serialized);
  if (typeof name === 'string') {
    const custom = findCustom(typeof spec === 'string' ? name : (spec as Serialized).registered_name, name);
    if (typeof custom === 'function' && !isClass(custom)) return custom as Activation;
    return registry.get(name);
  }
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `activation: a name, a function or a layer is expected, got ${String(spec)}.`,
  );
}

function savedName(spec: Serialized): unknown {
  return spec.class_name === 'function' ? spec.config : spec.class_name;
}

function isClass(value: unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

/** The name of a built-in activation in Keras's form. */
export function activationName(activation: Activation): string | undefined {
  const name = registry.nameOf(activation);
  return name === undefined ? undefined : snakeCase(name);
}

setConverter('activation', (value) => {
  const { layer, name } = value as Activation & { layer?: ActivationLayer };
  if (layer && support) return support.serialize(layer);
  const known = activationName(value as Activation);
  if (known !== undefined) return known;
  return { module: 'builtins', class_name: 'function', config: name, registered_name: name };
});

/** The function of a name, and its name in Keras's form. */
export const get = resolveActivation;
export const serialize = activationName;
