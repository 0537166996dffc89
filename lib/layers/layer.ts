import { type Config, type OptionTable, optionsFromConfig, type Serialized, setConverter } from '../config.js';
import { ChainruleError, checkOptions, shown } from '../errors.js';
import { type CallOptions, type HistoryNode, type Operation, record } from '../graph/history.js';
import { RematScope, remat } from '../graph/remat.js';
import { flatten, mapStructure, type Structure } from '../graph/structure.js';
import { Dimension, isSymbolic, isTensor, type Shape, type Tensor } from '../graph/tensor.js';
import { currentTrace, type Operand, type Trace } from '../graph/trace.js';
import { type NDArray, shapeText } from '../ndarray.js';
import { divide } from '../ops/math.js';
import { cast, isOperand, tensor } from '../ops/operands.js';
import { sum } from '../ops/reduce.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../regularizers/index.js';
import * as rules from '../rules.js';
import { checkInput, type InputSpec } from './input_spec.js';
import { inScope, Module } from './module.js';
import { getDtypePolicy, narrowed, policyName, rounded, unsupported, widened } from './precision.js';
import { type Int8Weight, modeOf, policyOf, type QuantizationMode, quantizedPolicy } from './quantization.js';

export type TensorStructure = Structure<Tensor>;
export type ShapeStructure = Shape | readonly Shape[] | Readonly<Record<string, Shape>>;

/** Options that every layer takes. */
export interface LayerOptions {
  /** Unique in the process when absent: `dense`, `dense_1`, … */
  name?: string;
  /** Optimizers may change its weights (default true). */
  trainable?: boolean;
  /** Shape of one row, without the batch: builds a sequential model at once. */
  inputShape?: Shape;
  /** A penalty on the layer's output, divided by the batch size. */
  activityRegularizer?: RegularizerSpec;
  /** Its gradient computes its values again instead of keeping them in memory (default: as the RematScope around says). */
  remat?: boolean;
  /** The policy by which the layer computes: 'float32' or 'mixedBfloat16'; by default that of setDtypePolicy. */
  dtype?: string | Serialized;
}

export interface CallContext {
  /** True in the training step: dropout drops, batch normalization uses the batch. */
  readonly training: boolean;
  /** Which time steps count, where a layer above made a mask. */
  readonly mask: Tensor | undefined;
  /** Carried state, of stateful layers. */
  readonly state: Trace['state'];
  /** Further arguments of the call, by name. */
  readonly [argument: string]: unknown;
}

/** Options of a call; a layer with further arguments (`initialState`, `value`, …) takes them here, by name. */
export interface ApplyOptions {
  training?: boolean;
  /** Which time steps count; of layers with several inputs a list. */
  mask?: Tensor | readonly (Tensor | null | undefined)[];
  [argument: string]: unknown;
}

/** The mask of an output, or a list of those of several, in their order. */
export type MaskOf = Tensor | readonly (Tensor | undefined)[] | undefined;

/**
 * Weights and a formula. A subclass makes weights in `build(inputShape)`, once, and describes the formula in
 * `call(inputs, ctx)`; it states no output shape and no gradient. Layers and variables in its properties are found by
 * themselves (https://keras.io/api/layers/base_layer/).
 */
export abstract class Layer extends Module {
  static override readonly options: OptionTable = {
    name: rules.text,
    trainable: rules.flag,
    dtype: 'dtype',
    inputShape: { ...rules.shape, kind: 'local' },
    remat: { ...rules.flag, expected: 'true or false (modes are options of RematScope)', kind: 'local' },
    activityRegularizer: 'optionalRegularizer',
  };
  /** Whether layers of this class can store a weight as int8. @internal */
  static readonly int8: boolean = false;
  /** Properties whose layers stand under another name in Keras's files: `{ property: 'their_name' }`. */
  static readonly savedNames: Readonly<Record<string, string>> = {};

  /**
   * Names of the arguments of `call` behind the inputs, in Keras's order: options of `apply`, which `call` finds in its
   * context.
   */
  static readonly callArguments: readonly string[] = [];

  /** What is computed with, as Keras's policies are named. */
  dtype: string;
  readonly inputShape: Shape | undefined;
  readonly activityRegularizer: Regularizer | undefined;
  /** Shape or shapes that the weights were built for. */
  buildShape: ShapeStructure | undefined;
  /** Masks pass through this layer unchanged. */
  supportsMasking = false;
  /** What a built layer accepts. */
  inputSpec: InputSpec | undefined;
  /** Inputs are cast to what the layer computes with; layers of integers switch it off. */
  protected autocast = true;
  readonly #nodes: HistoryNode[] = [];
  readonly #remat: RematScope | undefined;

  constructor(options: LayerOptions = {}) {
    super(options);
    this.dtype = this.policy(options.dtype);
    this.inputShape = options.inputShape;
    this.activityRegularizer = resolveRegularizer(options.activityRegularizer);
    this.#remat =
      options.remat === undefined || options.remat === null
        ? RematScope.current
        : new RematScope({ mode: options.remat ? 'full' : null });
    // build is overridden by layers and called by users: the bookkeeping around it wraps whichever it is.
    const build = this.build;
    Object.defineProperty(this, 'build', {
      value: (shape: ShapeStructure) => this.#buildWith(build, shape),
      enumerable: false,
      writable: true,
    });
  }

  /** The name of a dtype policy, which must be one that the layer computes with. */
  protected policy(dtype: LayerOptions['dtype']): string {
    const given = dtype ?? getDtypePolicy();
    const name = typeof given === 'object' ? (policyOf(given) ?? given.config?.name) : given;
    const known = policyName(String(name));
    if (known) return known;
    if (this.storesInt8 && name === 'int8_from_float32') return name as string;
    throw unsupported(this.className, name ?? given);
  }

  /** Inputs, weights and outputs are rounded to bfloat16. Models leave that to their layers. */
  protected get rounds(): boolean {
    return this.dtype === 'mixed_bfloat16';
  }

  /** The class itself, and not only one that it extends, can store a weight as int8. @internal */
  get storesInt8(): boolean {
    const cls = this.constructor as typeof Layer;
    return Object.hasOwn(cls, 'int8') && cls.int8;
  }

  /** That weight of a built layer; undefined where the layer's options don't allow it. @internal */
  get int8Weight(): Int8Weight | undefined {
    return undefined;
  }

  /** Properties whose weights `model.quantize('bfloat16')` stores so. @internal */
  get bfloat16Properties(): readonly string[] {
    return [];
  }

  /** The shape in which programs see a weight that is stored as bfloat16. @internal */
  storedShape(shape: readonly number[]): readonly number[] {
    return shape;
  }

  /** 'bfloat16' where weights are stored so; their layer computes in float32 all the same. @internal */
  weightsStoredAs: 'bfloat16' | undefined;

  /** How the weights are stored, where `model.quantize` made it something else than float32. */
  get quantization(): QuantizationMode | undefined {
    return modeOf(this.dtype) ?? this.weightsStoredAs;
  }

  /** Files that a layer keeps beside its weights (a vocabulary), by name. */
  saveAssets?(): Map<string, Uint8Array>;
  loadAssets?(files: ReadonlyMap<string, Uint8Array>): void;
  /** Numbers beside the weights that files keep under names of their own (`idf_weights`); read before the assets. */
  savedArrays?(): Map<string, NDArray>;
  loadArrays?(arrays: ReadonlyMap<string, NDArray>): void;

  /** What a file says about a built layer beside its config. @internal */
  override savedBeside(): Partial<Serialized> {
    return this.built && this.buildShape !== undefined ? { build_config: { input_shape: this.buildShape } } : {};
  }

  /** Makes the weights. `inputShape` includes the batch, as null. */
  build(_inputShape: ShapeStructure): void {}

  /** What the first call gives to `build`: the shapes of its inputs. */
  protected shapesOf(inputs: TensorStructure, _options: ApplyOptions): ShapeStructure {
    return mapStructure(inputs, (leaf) => (leaf as Tensor).declaredShape) as ShapeStructure;
  }

  /** Describes the computation on tensors of the active trace. */
  abstract call(inputs: TensorStructure, ctx: CallContext): TensorStructure;

  /**
   * Calls the layer: on tensors of a trace, or on symbolic tensors of `input()`. The first call builds the weights;
   * every further call shares them.
   */
  apply<O extends TensorStructure = Tensor>(inputs: Structure<Tensor | Operand>, options: ApplyOptions = {}): O {
    if (isTensor(options) || (Array.isArray(options) && options.every(isTensor)))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `layer "${this.name}" (${this.className}): several inputs come in one list, apply([a, b]); got ${shown(options)} in the place of options, apply(x, { ${this.callArguments[0] ?? 'mask'} }).`,
      );
    checkOptions(this.className, options, ['training', 'mask', 'state', ...this.callArguments]);
    const leaves = [...flatten(inputs), ...flatten(options)];
    if (!leaves.some((leaf) => isSymbolic(leaf.item))) return this.#callLive(inputs, options) as O;
    const operation = {
      name: this.name,
      layer: this,
      replay: (args: unknown, live: CallOptions) => this.apply(args as TensorStructure, live),
    };
    const result = this.recordCall(operation, inputs, options);
    const node = flatten(result)
      .map((leaf) => leaf.item)
      .find(isSymbolic)?.origin.node;
    if (node) this.#nodes.push(node);
    return result as O;
  }

  /** Records a call on symbolic tensors. */
  protected recordCall(operation: Operation, inputs: Structure<Tensor | Operand>, options: ApplyOptions): unknown {
    return record(operation, inputs, options as CallOptions);
  }

  /** A network of layers, which may be all that is trained. @internal */
  protected get isModel(): boolean {
    return false;
  }

  /** In `call`: an activation, which gradients may compute again. */
  protected activate(activation: (x: Tensor) => Tensor, x: Tensor): Tensor {
    return (this.#remat?.mode === 'activations' ? remat(activation) : activation)(x);
  }

  /** In `call`: adds a penalty to the loss of training and evaluation; one of several numbers counts as their sum. */
  addLoss(loss: Tensor): void {
    currentTrace(`layer "${this.name}".addLoss`).losses.push(loss.rank === 0 ? loss : sum(loss));
  }

  /** The mask of the output, or those of several in a list; by default that of the input where supportsMasking is set. */
  computeMask(_inputs: TensorStructure, mask: Tensor | undefined): MaskOf {
    return this.supportsMasking ? mask : undefined;
  }

  get callArguments(): readonly string[] {
    return (this.constructor as typeof Layer).callArguments;
  }

  /** Calls of this layer in functional models. */
  get nodes(): readonly HistoryNode[] {
    return this.#nodes;
  }

  /** The symbolic result of the layer's only call. */
  get output(): Tensor {
    return single(this.#onlyNode('output').outputs);
  }

  /** The symbolic input of the layer's only call. */
  get input(): Tensor {
    return single(this.#onlyNode('input').inputs);
  }

  /** A layer from its config. */
  static fromConfig<T extends Layer>(this: new (options: never) => T, config: Config): T {
    // biome-ignore lint/complexity/noThisInStatic: the class that it is called on
    return new this(optionsFromConfig(config, this) as never);
  }

  #onlyNode(what: string): HistoryNode {
    if (this.#nodes.length === 1) return this.#nodes[0]!;
    const why =
      this.#nodes.length === 0
        ? 'it was never called on symbolic tensors'
        : `it was called ${this.#nodes.length} times`;
    throw new ChainruleError(
      'ERR_CHAINRULE_STATE',
      `layer "${this.name}" has no single ${what}: ${why}. Use layer.nodes.`,
    );
  }

  #buildWith(build: (shape: ShapeStructure) => void, shape: ShapeStructure): void {
    if (this.built) return;
    this.buildShape = shape;
    inScope(this.name, () => build.call(this, shape));
    this.built = true;
  }

  /** What was built inside a call of unknown length is built for any: it just took another one. */
  #widen([before, now]: readonly [number, number], shapes: ShapeStructure): void {
    const current = flatten(shapes).map((leaf) => leaf.item);
    let next = 0;
    this.buildShape = mapStructure(this.buildShape, (dim) => {
      const other = current[next++];
      return dim === before && other === now ? null : dim;
    }) as ShapeStructure;
  }

  #callLive(inputs: unknown, options: ApplyOptions): unknown {
    const trace = currentTrace(`layer "${this.name}"`);
    const training = options.training ?? trace.training ?? false;
    const ready = mapStructure(inputs, (leaf) => this.#prepare(leaf), isArrayLike) as TensorStructure;
    // Layers that take a list of masks know that they may get one.
    const own = options.mask as Tensor | undefined;
    const mask = own ?? (isTensor(ready) ? ready.mask : undefined);
    // As in Keras, a call with further tensors (initial states) does not see the mask that comes with its input; the
    // output carries it on.
    const { mask: _, ...further } = options;
    const seen = flatten(further).some((leaf) => isTensor(leaf.item)) ? own : mask;
    // All of a model as one segment would save nothing: there, the layers are segments.
    const whole = this.isModel && !trace.insideLayer;
    return trace.scope(this, () =>
      inScope(this.name, () => {
        const outer = { training: trace.training, rounds: trace.rounds };
        trace.training = training;
        trace.rounds = this.rounds;
        try {
          if (this.inputSpec && isTensor(ready)) checkInput(this, this.inputSpec, ready);
          if (!this.built) this.build(this.shapesOf(ready, options));
          else if (trace.lengths) this.#widen(trace.lengths, this.shapesOf(ready, options));
          const call = (): TensorStructure =>
            this.call(ready, { ...options, training, mask: seen, state: trace.state });
          const result = this.#remat && !whole ? this.#remat.call(trace, this.name, call) : call();
          return this.#finish(trace, ready, result, mask);
        } catch (error) {
          throw this.#located(error, ready);
        } finally {
          trace.training = outer.training;
          trace.rounds = outer.rounds;
        }
      }),
    );
  }

  #prepare(leaf: unknown): Tensor {
    if (!isOperand(leaf) && !isArrayLike(leaf)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}" (${this.className}): inputs must be tensors, got ${leaf === null ? 'null' : typeof leaf}.`,
      );
    }
    const value = isTensor(leaf) ? leaf : tensor(leaf as Operand);
    // Ids and bins are told apart by more digits than bfloat16 has.
    if (value.dtype === 'float32') return this.rounds && this.autocast ? rounded(value) : value;
    return this.autocast || value.dtype === 'bfloat16' ? widened(value) : value;
  }

  #finish(trace: Trace, inputs: TensorStructure, result: TensorStructure, mask: Tensor | undefined): TensorStructure {
    const outputs = flatten(result).map((leaf) => leaf.item);
    if (outputs.length === 0 || !outputs.every(isTensor)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}" (${this.className}): call must return a tensor, or a list or record of tensors.`,
      );
    }
    const first = outputs[0] as Tensor;
    [this.computeMask(inputs, mask)].flat().forEach((one, i) => {
      const output = outputs[i] as Tensor | undefined;
      if (output && output.mask === undefined) output.mask = one;
    });
    // Layers between that leave the rank alone (dropout, normalization) pass on what they were given.
    if (isTensor(inputs) && first.rank === inputs.rank) first.lastStepOf ??= inputs.lastStepOf;
    if (this.activityRegularizer) {
      for (const output of outputs as Tensor[])
        trace.losses.push(divide(this.activityRegularizer.apply(output), batchOf(output)));
    }
    return this.rounds ? (mapStructure(result, (leaf) => narrowed(leaf as Tensor)) as TensorStructure) : result;
  }

  /** Adds the layer to an error that does not name one yet. */
  #located(error: unknown, inputs: TensorStructure): unknown {
    if (!(error instanceof ChainruleError) || error.details.layer !== undefined) return error;
    if (error.message.includes(`"${this.name}"`)) return error;
    const shapes = flatten(inputs).map((leaf) => shapeText((leaf.item as Tensor).shape));
    return new ChainruleError(
      error.code,
      `${error.message.replace(/\.$/, '')}, in layer "${this.name}" (${this.className}) called on ${shapes.join(', ')}.`,
      {
        details: { ...error.details, layer: this.name },
        cause: error,
      },
    );
  }
}

setConverter('dtype', (name) => {
  const mode = modeOf(name as string);
  return mode
    ? quantizedPolicy(mode)
    : { module: 'keras', class_name: 'DTypePolicy', config: { name }, registered_name: null };
});

export { inScope, type WeightOptions } from './module.js';

export function isLayer(value: unknown): value is Layer {
  return value instanceof Layer;
}

function isArrayLike(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === 'number';
}

/** Rows of a tensor, as an operand. */
export function batchOf(x: Tensor): Operand {
  const dim = x.dims[0] ?? 1;
  return dim < 0 ? cast(new Dimension(-dim), 'float32') : dim;
}

function single(tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 1) return tensors[0]!;
  throw new ChainruleError('ERR_CHAINRULE_STATE', `the layer has ${tensors.length} of them; use layer.nodes[0].`);
}
