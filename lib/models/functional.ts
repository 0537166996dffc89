import type { Config } from '../config.js';
import { ChainruleError, shown } from '../errors.js';
import { flatten, mapStructure, type Structure } from '../graph/structure.js';
import { isSymbolic, isTensor, type Tensor } from '../graph/tensor.js';
import type { Layer, ShapeStructure, TensorStructure } from '../layers/layer.js';
import { uniqueName } from '../names.js';
import type { NDArray } from '../ndarray.js';
import { anything, required } from '../rules.js';
import type { HostFront } from './front.js';
import { Model } from './model.js';
import { checkModelOptions, type ModelOptions } from './model_options.js';
import { Network } from './network.js';
import { buildFunctional, finish } from './saving/build.js';
import { functionalConfig } from './saving/network_config.js';

/** What predict of a functional model gives: arrays in the structure of its outputs. */
export type PredictionOf<T> = [Structure<Tensor>] extends [T]
  ? NDArray | NDArray[] | Record<string, NDArray>
  : T extends Tensor
    ? NDArray
    : { -readonly [K in keyof T]: PredictionOf<T[K]> };

export interface FunctionalOptions<T> {
  inputs: Structure<Tensor>;
  outputs: T;
  name?: string;
  trainable?: boolean;
  /** As of every layer: for models inside others. */
  remat?: boolean;
}

/** A graph of layer calls between inputs and outputs (https://keras.io/guides/functional_api/). */
export class Functional<O = NDArray> extends Model<O> {
  static readonly kerasModule = 'keras.src.models.functional';
  /** @internal */ readonly network: Network;
  readonly #inputs: Structure<Tensor>;
  readonly #outputs: Structure<Tensor>;

  constructor(inputs: Structure<Tensor>, outputs: Structure<Tensor>, options: ModelOptions = {}) {
    checkModelOptions('Functional', options);
    super({ ...options, name: options.name ?? uniqueName('functional') });
    const list = flatten(inputs).map((leaf) => leaf.item);
    for (const item of list) {
      if (isSymbolic(item)) continue;
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        'functional: inputs must be symbolic tensors: input({ shape }), or the output of a layer of another model.',
      );
    }
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.network = new Network(list as Tensor[], outputs);
    this.built = true;
    this.buildShape = mapStructure(inputs, (tensor) => (tensor as Tensor).shape) as ShapeStructure;
  }

  override get inputs(): Tensor[] {
    return flatten(this.#inputs).map((leaf) => leaf.item as Tensor);
  }

  override get outputs(): Tensor[] {
    return flatten(this.#outputs).map((leaf) => leaf.item as Tensor);
  }

  override get inputStructure(): unknown {
    return this.#inputs;
  }

  override get front(): HostFront | undefined {
    return this.network.front;
  }

  override get outputNames(): string[] {
    return this.outputs.map((output) => output.name ?? '');
  }

  override get layers(): Layer[] {
    return [...this.network.layers];
  }

  override get sublayers(): Layer[] {
    return this.layers;
  }

  override getConfig(): Config {
    return functionalConfig(this as unknown as Functional);
  }

  /** A model from its config, as getConfig gives it. */
  static override fromConfig<T extends Layer = Functional>(config: Config): T {
    return finish(buildFunctional(config)) as Layer as T;
  }

  override call(inputs: TensorStructure): TensorStructure {
    const fed = flatten(inputs).map((leaf) => leaf.item as Tensor);
    const expected = this.network.starts;
    if (fed.length !== expected.length) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `model "${this.name}" takes ${expected.length} inputs, got ${fed.length}.`,
      );
    }
    return this.network.replay(this.network.take(fed, this.name));
  }
}

/** A model from symbolic inputs and outputs, each one tensor, a list or a record. */
export function functional<const T extends Structure<Tensor>>(
  options: FunctionalOptions<T>,
): Functional<PredictionOf<T>> {
  if (isTensor(options) || Array.isArray(options) || isRecordOfTensors(options))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `functional: inputs and outputs come in one record, functional({ inputs, outputs }), got ${shown(options)} first.`,
    );
  checkModelOptions('functional', options, {
    inputs: required(anything, 'x'),
    outputs: required(anything, 'layers.dense({ units: 1 }).apply(x)'),
  });
  const { inputs, outputs, name, trainable, remat } = options;
  return new Functional<PredictionOf<T>>(inputs, outputs, {
    ...(name !== undefined && { name }),
    ...(trainable !== undefined && { trainable }),
    ...(remat !== undefined && { remat }),
  });
}

/** Inputs by name in the place of the options. */
function isRecordOfTensors(options: unknown): boolean {
  if (typeof options !== 'object' || options === null) return false;
  return !('inputs' in options || 'outputs' in options) && Object.values(options).some(isTensor);
}
