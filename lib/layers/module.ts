import { Configured } from '../config.js';
import { type ConstraintSpec, resolveConstraint } from '../constraints/index.js';
import { ChainruleError, checkOptions, shown } from '../errors.js';
import type { Shape } from '../graph/tensor.js';
import { Variable } from '../graph/variable.js';
import { type InitializerSpec, resolveInitializer } from '../initializers/index.js';
import { snakeClass, uniqueName } from '../names.js';
import type { DType } from '../native.js';
import type { ArrayInput, NDArray } from '../ndarray.js';
import { cast } from '../ops/operands.js';
import { type RegularizerSpec, resolveRegularizer } from '../regularizers/index.js';
import type { Layer } from './layer.js';
import { tracked } from './tracking.js';

export interface WeightOptions {
  initializer?: InitializerSpec;
  regularizer?: RegularizerSpec;
  constraint?: ConstraintSpec;
  trainable?: boolean;
  dtype?: DType;
  /** Layers of the policy mixedBfloat16 read it rounded (default true); false keeps statistics exact. */
  autocast?: boolean;
  /** See VariableOptions. @internal */
  storedShape?: readonly number[];
}

/** All of a weight in one record, as Keras has it. */
export interface WeightSpec extends WeightOptions {
  shape: Shape;
  /** Default 'variable'. */
  name?: string;
}

const weightOptions = ['initializer', 'regularizer', 'constraint', 'trainable', 'dtype', 'autocast', 'storedShape'];

/** The part of a layer that owns weights: its own, and those of the layers in its properties. */
export abstract class Module extends Configured {
  readonly name: string;
  built = false;
  readonly #own: Variable[] = [];
  #trainable: boolean;

  constructor(options: { name?: string; trainable?: boolean }) {
    super(options);
    this.name = options.name ?? uniqueName(snakeClass(this.className));
    this.#trainable = options.trainable ?? true;
  }

  /** Makes a weight; its first value is computed when it is first needed, off the main thread. */
  addWeight(name: string, shape: Shape, options?: WeightOptions): Variable;
  addWeight(spec: WeightSpec): Variable;
  addWeight(first: string | WeightSpec, given?: Shape, further: WeightOptions = {}): Variable {
    const spec: WeightSpec =
      typeof first === 'object' && first !== null && !Array.isArray(first)
        ? first
        : { ...further, name: first as string, shape: given! };
    const { name = 'variable', shape, ...options } = spec;
    checkOptions('addWeight', options, weightOptions);
    if (typeof name !== 'string' || !Array.isArray(shape))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `addWeight: a name and a shape are expected, this.addWeight('scale', [3], { initializer: 'ones' }), got ${shown(name)} and ${shown(shape)}.`,
      );
    const initializer = resolveInitializer(
      options.initializer ?? (options.dtype && options.dtype !== 'float32' ? 'zeros' : 'glorotUniform'),
    );
    const fill = initializer.constantValue();
    const trainable = options.trainable ?? options.dtype !== 'bfloat16';
    const variable = new Variable(name, shape, {
      initialValue: fill ?? ((size, dtype) => cast(initializer.call(size, dtype), dtype)),
      dtype: options.dtype ?? 'float32',
      trainable: trainable && (this.#trainable || options.dtype === 'bfloat16'),
      ...(options.autocast !== undefined && { autocast: options.autocast }),
      ...(options.storedShape && { storedShape: options.storedShape }),
    });
    variable.regularizer = resolveRegularizer(options.regularizer);
    variable.constraint = resolveConstraint(options.constraint);
    variable.path = [...scopes, ...(scopes.at(-1) === this.name ? [] : [this.name]), name].join('/');
    this.#own.push(variable);
    if (!trainable) frozen.add(variable);
    return variable;
  }

  /** Lets a weight go; whoever holds it in a property replaces it there. @internal */
  removeWeight(variable: Variable): void {
    const at = this.#own.indexOf(variable);
    if (at >= 0) this.#own.splice(at, 1);
  }

  /** Puts another variable in the place of a weight, here and in the property that holds it. @internal */
  replaceWeight(old: Variable, made: Variable): void {
    const at = this.#own.indexOf(old);
    if (at >= 0) this.#own[at] = made;
    const properties = this as unknown as Record<string, unknown>;
    for (const key of Object.keys(this)) if (properties[key] === old) properties[key] = made;
  }

  /** Layers in the properties of this one. */
  get sublayers(): Layer[] {
    return tracked(this, isModule).layers;
  }

  /** Own weights (trainable first), then those of the layers inside, as Keras orders them. */
  get weights(): Variable[] {
    return [...new Set([...this.ownWeights, ...this.sublayers.flatMap((layer) => layer.weights)])];
  }

  /** The weights of this layer itself, trainable first. */
  get ownWeights(): Variable[] {
    const own = [...new Set([...this.#own, ...tracked(this, isModule).variables])];
    return [...own.filter((variable) => !frozen.has(variable)), ...own.filter((variable) => frozen.has(variable))];
  }

  /** The own weights in the order of Keras's files. @internal */
  get savedWeights(): Variable[] {
    return this.ownWeights;
  }

  get trainableWeights(): Variable[] {
    return this.weights.filter((variable) => variable.trainable);
  }

  get nonTrainableWeights(): Variable[] {
    return this.weights.filter((variable) => !variable.trainable);
  }

  get trainable(): boolean {
    return this.#trainable;
  }

  /** Freezes or thaws this layer and all layers inside. */
  set trainable(value: boolean) {
    this.#trainable = value;
    for (const variable of this.ownWeights)
      if (!frozen.has(variable)) variable.trainable = value && variable.dtype !== 'bfloat16';
    for (const layer of this.sublayers) layer.trainable = value;
  }

  countParams(): number {
    return this.weights.reduce((total, variable) => total + variable.size, 0);
  }

  /** All weights as numbers, in the order of `weights`. */
  getWeights(): Promise<NDArray[]> {
    return Promise.all(this.weights.map((variable) => variable.value()));
  }

  /** Replaces all weights, in the order of `weights`. */
  async setWeights(values: readonly ArrayInput[]): Promise<void> {
    const { weights } = this;
    if (!Array.isArray(values))
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `setWeights: a list of arrays is expected, as getWeights gives it, got ${shown(values)}.`,
      );
    if (values.length !== weights.length) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `setWeights: "${this.name}" has ${weights.length} weights but got ${values.length} arrays${this.built ? '' : '; build it first'}.`,
      );
    }
    await Promise.all(weights.map((variable, i) => variable.write(values[i]!)));
  }
}

/** Modules that are found in properties: all of them are layers. */
const isModule = (value: unknown): value is Layer => value instanceof Module;

/** Weights that were made as not trainable (moving statistics): thawing a layer leaves them alone. */
const frozen = new WeakSet<Variable>();
const scopes: string[] = [];

/** Names the layers around a weight while it is made. @internal */
export function inScope<T>(name: string, fn: () => T): T {
  const pushed = scopes.at(-1) !== name;
  if (pushed) scopes.push(name);
  try {
    return fn();
  } finally {
    if (pushed) scopes.pop();
  }
}
