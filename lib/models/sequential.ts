import type { Config } from '../config.js';
import { ChainruleError, shown } from '../errors.js';
import { isSymbolic, isTensor, type Shape, type Tensor } from '../graph/tensor.js';
import { HostLayer, TextVectorization } from '../layers/index.js';
import { InputLayer } from '../layers/input.js';
import { inScope, isLayer, type Layer, type TensorStructure } from '../layers/layer.js';
import { isTypedArray, NDArray } from '../ndarray.js';
import { StringArray } from '../strings.js';
import type { HostFront } from './front.js';
import { Model } from './model.js';
import { checkModelOptions, type ModelOptions } from './model_options.js';
import { asDeclared, Network } from './network.js';
import { buildSequential, finish } from './saving/build.js';
import { sequentialConfig } from './saving/network_config.js';

/** Layers one after the other (https://keras.io/api/models/sequential/). */
export class Sequential extends Model {
  static readonly kerasModule = 'keras';
  readonly #layers: Layer[] = [];
  #network: Network | undefined;

  constructor(layers: readonly (Layer | Tensor)[] = [], options: ModelOptions = {}) {
    checkModelOptions('sequential', options);
    super(options);
    if (!Array.isArray(layers))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `sequential: the layers come as a list, got ${isLayer(layers) ? `the layer "${layers.name}"` : shown(layers)}. Write sequential([layers.dense({ units: 64 }), …]).`,
      );
    for (const layer of layers) this.append(layer);
    this.buildEarly();
  }

  /** Adds a layer at the end. */
  add(layer: Layer | Tensor): void {
    this.append(layer);
    this.#rebuild();
  }

  /** Takes the last layer off. */
  pop(): Layer | undefined {
    const layer = this.#layers.pop();
    this.#rebuild();
    return layer;
  }

  /** The layers, without the one that only marks the input. */
  override get layers(): Layer[] {
    return this.#layers.filter((layer) => !(layer instanceof InputLayer));
  }

  override get sublayers(): Layer[] {
    return this.layers;
  }

  override getConfig(): Config {
    return sequentialConfig(this);
  }

  /** A model from its config, as getConfig gives it. */
  static override fromConfig<T extends Layer = Sequential>(config: Config): T {
    return finish(buildSequential(config)) as Layer as T;
  }

  override get inputs(): Tensor[] {
    return this.#network ? [...this.#network.inputs] : [];
  }

  override get outputs(): Tensor[] {
    return this.#network ? [this.#network.outputs as Tensor] : [];
  }

  override get inputStructure(): unknown {
    return this.#network?.inputs[0];
  }

  override get outputNames(): string[] | undefined {
    return this.#network ? [(this.#network.outputs as Tensor).name ?? ''] : undefined;
  }

  override get front(): HostFront | undefined {
    return this.#network?.front;
  }

  /** @internal */
  get network(): Network | undefined {
    return this.#network;
  }

  override build(inputShape: Shape): void {
    for (const _ of this.buildSteps(inputShape));
  }

  /** Builds layer by layer; others may run in between. @internal */
  *buildSteps(inputShape: Shape): Generator<undefined, void> {
    if (this.layers.length === 0)
      throw new ChainruleError('ERR_CHAINRULE_NOT_BUILT', `model "${this.name}" has no layers; add one first.`);
    this.buildShape = inputShape;
    const first = this.#layers[0];
    const dtype = first instanceof HostLayer ? first.inputDtype : 'float32';
    const start = first instanceof InputLayer ? first : new InputLayer({ batchShape: inputShape, dtype });
    let x: Tensor = start.tensor;
    for (const layer of this.layers) {
      x = inScope(this.name, () => layer.apply(x));
      yield;
    }
    this.#network = new Network([start.tensor], x);
    this.built = true;
  }

  override call(inputs: TensorStructure): TensorStructure {
    const fed = this.#network?.take([inputs as Tensor], this.name)[0] ?? inputs;
    const traced = this.layers.filter((layer) => !(layer instanceof HostLayer));
    const result = traced.reduce<TensorStructure>((x, layer) => layer.apply<TensorStructure>(x), fed);
    const symbolic = this.#network?.outputs;
    return isSymbolic(symbolic) && isTensor(result) ? asDeclared(symbolic, result)! : result;
  }

  /** Builds a model that begins with strings for data like these. @internal */
  override buildFor(x: unknown): void {
    if (this.built || !(this.#layers[0] instanceof HostLayer)) return;
    this.buildEarly();
    const shaped = x instanceof StringArray || x instanceof NDArray;
    if (this.built || !(shaped || Array.isArray(x) || isTypedArray(x))) return;
    const shape: (number | null)[] = [null];
    for (let item = Array.isArray(x) ? x[0] : undefined; Array.isArray(item); item = item[0]) shape.push(item.length);
    if (shaped) shape.push(...x.shape.slice(1));
    this.build(shape);
  }

  /** Adds a layer without building; what `input()` gives stands for its layer, as in Keras. @internal */
  append(given: Layer | Tensor): void {
    const source = isSymbolic(given) ? given.origin.node.operation.layer : undefined;
    const layer = (source instanceof InputLayer ? source : given) as Layer;
    if (!isLayer(layer)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `sequential: element ${this.#layers.length} is no layer (got ${layer === null ? 'null' : typeof layer}); use layers.dense({ … }) and the like.`,
      );
    }
    if (this.#layers.some((other) => other.name === layer.name)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `sequential: two layers are named "${layer.name}"; layer names must be unique. Give one of them another name.`,
      );
    }
    this.#layers.push(layer);
  }

  /** Builds as soon as the shape of the input is known. @internal */
  buildEarly(): void {
    const [first] = this.#layers;
    if (!first || this.layers.length === 0) return;
    if (first instanceof InputLayer) this.build(first.batchShape);
    else if (first.inputShape) this.build([null, ...first.inputShape]);
    else if (first instanceof TextVectorization) {
      // Texts come one to a row; vectors have a length as soon as there is a vocabulary.
      if (first.outputMode === 'int' || first.padToMaxTokens || !first.missing) this.build([null]);
    } else if (first instanceof Model && first.inputs.length === 1) this.build(first.inputs[0]!.shape);
  }

  #rebuild(): void {
    const shape = this.#network?.inputs[0]?.shape;
    this.#network = undefined;
    this.built = false;
    this.forgetPrograms();
    if (this.layers.length === 0) return;
    if (shape) this.build(shape);
    else this.buildEarly();
  }
}

/** A stack of layers; with an inputShape on the first it is built at once. */
export function sequential(layers: readonly (Layer | Tensor)[] = [], options: ModelOptions = {}): Sequential {
  return new Sequential(layers, options);
}
