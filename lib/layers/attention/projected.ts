import { type Config, type OptionTable, optionsFromConfig, type Serialized } from '../../config.js';
import { type Constraint, resolveConstraint } from '../../constraints/index.js';
import { ChainruleError } from '../../errors.js';
import type { Structure } from '../../graph/structure.js';
import { isTensor, type Shape, type Tensor } from '../../graph/tensor.js';
import type { Operand } from '../../graph/trace.js';
import { type Initializer, resolveInitializer } from '../../initializers/index.js';
import { shapeText } from '../../ndarray.js';
import { dotProductAttention } from '../../ops/attention.js';
import { multiply } from '../../ops/math.js';
import { cast, float, isOperand } from '../../ops/operands.js';
import { expandDims } from '../../ops/shape.js';
import { type Regularizer, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import type { Softmax } from '../activation.js';
import { EinsumDense } from '../einsum_dense.js';
import type { KernelOptions } from '../kernel_layer.js';
import { type ApplyOptions, type CallContext, Layer, type ShapeStructure, type TensorStructure } from '../layer.js';
import { Dropout } from '../regularization/dropout.js';
import { causalMask, every, widened, windowMask } from './masks.js';

export interface ProjectedAttentionOptions extends Omit<KernelOptions, 'activation'> {
  /** The fraction of the shares that are zeroed in training. Default 0. */
  dropout?: number;
  /** Queries see keys less than this many positions away. */
  slidingWindow?: number;
  /** Multiply what each head gives by a sigmoid gate made from the query. Default false. */
  useGate?: boolean;
  /** Accepted for Keras's habit: scores are never held as a whole, unless they are returned or dropped out. */
  flashAttention?: boolean;
  seed?: number;
}

/** Further arguments of a call on a query. */
export interface AttentionArguments {
  /** What is looked at, [N, keys, …]: for self-attention the query itself. */
  value: Tensor | Operand;
  /** What queries are compared with; default: the value. */
  key?: Tensor | Operand;
  /** Which positions count; by default what layers above say (`x.mask`). MultiHeadAttention knows the latter only. */
  queryMask?: Tensor | Operand;
  valueMask?: Tensor | Operand;
  keyMask?: Tensor | Operand;
  /** Where false, a query does not see a key: [N, queries, keys]. */
  attentionMask?: Tensor | Operand;
  /** Give [output, scores]. Default false. */
  returnAttentionScores?: boolean;
  /** A query does not see later positions. Default false. */
  useCausalMask?: boolean;
}

interface Operands {
  query: Tensor;
  value: Tensor;
  key: Tensor;
}

/** Projected queries, keys and values, [N, …, heads, size], and what of the keys is seen. */
export interface Projected extends Operands {
  /** Of keys by queries, without causality and window. */
  mask: Tensor | undefined;
  causal: boolean;
  training: boolean;
}

interface Shapes {
  query_shape: Shape;
  value_shape: Shape;
  key_shape?: Shape;
}

/** Attention between projections: what MultiHeadAttention and GroupedQueryAttention share. */
export abstract class ProjectedAttention extends Layer {
  static override readonly callArguments: readonly string[] = [
    'value',
    'key',
    'queryMask',
    'valueMask',
    'keyMask',
    'attentionMask',
    'returnAttentionScores',
    'training',
    'useCausalMask',
  ];
  static override readonly savedNames: Readonly<Record<string, string>> = {
    gateDense: '_gate_dense',
    softmaxLayer: '_softmax',
    dropoutLayer: '_dropout_layer',
  };
  static override readonly options: OptionTable = {
    dropout: rules.between(0, 1),
    useBias: rules.flag,
    useGate: rules.flag,
    slidingWindow: rules.integer(1),
    flashAttention: 'local',
    kernelInitializer: 'initializer',
    biasInitializer: 'initializer',
    kernelRegularizer: 'regularizer',
    biasRegularizer: 'regularizer',
    activityRegularizer: 'regularizer',
    kernelConstraint: 'constraint',
    biasConstraint: 'constraint',
    seed: rules.integer(),
  };
  readonly dropout: number;
  readonly useBias: boolean;
  readonly useGate: boolean;
  readonly slidingWindow: number | undefined;
  readonly kernelInitializer: Initializer;
  readonly biasInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | undefined;
  readonly biasRegularizer: Regularizer | undefined;
  readonly kernelConstraint: Constraint | undefined;
  readonly biasConstraint: Constraint | undefined;
  readonly seed: number | undefined;
  // In the order in which Keras lists their weights.
  queryDense!: EinsumDense;
  keyDense!: EinsumDense;
  gateDense: EinsumDense | undefined;
  valueDense!: EinsumDense;
  softmaxLayer!: Softmax;
  dropoutLayer!: Dropout;
  outputDense!: EinsumDense;

  constructor(options: ProjectedAttentionOptions) {
    super(options);
    this.dropout = options.dropout ?? 0;
    this.useBias = options.useBias ?? true;
    this.useGate = options.useGate ?? false;
    this.slidingWindow = options.slidingWindow;
    this.kernelInitializer = resolveInitializer(options.kernelInitializer ?? 'glorotUniform');
    this.biasInitializer = resolveInitializer(options.biasInitializer ?? 'zeros');
    this.kernelRegularizer = resolveRegularizer(options.kernelRegularizer);
    this.biasRegularizer = resolveRegularizer(options.biasRegularizer);
    this.kernelConstraint = resolveConstraint(options.kernelConstraint);
    this.biasConstraint = resolveConstraint(options.biasConstraint);
    this.seed = options.seed;
    this.supportsMasking = true;
  }

  /** Of heads, for the default scale. */
  protected abstract get depth(): number;
  protected abstract buildLayers(query: Shape, value: Shape, key: Shape): void;
  /** The output and the shares of the keys, step by step. */
  protected abstract compose(projected: Projected): [output: Tensor, scores: Tensor];
  /** How many of a mask's last axes are those of queries and keys. */
  protected abstract get maskedAxes(): number;

  /** What the layers inside penalise of their outputs. */
  protected get sublayerRegularizer(): Regularizer | undefined {
    return this.activityRegularizer;
  }

  /** Calls the layer on a query, with `value` and possibly `key` as options, or on [query, value, key]. */
  override apply<O extends TensorStructure = Tensor>(
    inputs: Structure<Tensor | Operand>,
    options: ApplyOptions & Partial<AttentionArguments> = {},
  ): O {
    const list = Array.isArray(inputs) && inputs.length >= 2 && inputs.length <= 3 && inputs.every(isOperand);
    if (!list) return super.apply(inputs, options);
    const [query, value, key] = inputs as Tensor[];
    return super.apply(query!, { ...options, value, ...(key && { key }) });
  }

  protected override shapesOf(query: Tensor, options: ApplyOptions): ShapeStructure {
    const { value, key } = this.operands(query, options);
    return {
      query_shape: query.declaredShape,
      value_shape: value.declaredShape,
      ...(options.key !== undefined && { key_shape: key.declaredShape }),
    };
  }

  override build(shape: ShapeStructure): void {
    const { query_shape: query, value_shape: value, key_shape: key = value } = shapesDict(shape);
    if (shapeText(value.slice(1, -1)) !== shapeText(key.slice(1, -1)))
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (${this.className}): value ${shapeText(value)} and key ${shapeText(key)} may differ in the last dimension only.`,
        { details: { layer: this.name } },
      );
    this.buildLayers(query, value, key);
  }

  override savedBeside(): Partial<Serialized> {
    return this.built && this.buildShape ? { build_config: { shapes_dict: shapesDict(this.buildShape) } } : {};
  }

  override call(input: Tensor, ctx: CallContext & Partial<AttentionArguments>): TensorStructure {
    const { query, value, key } = this.operands(input, ctx);
    const queryMask = this.maskOfQuery(ctx.queryMask, query);
    const mask = every(
      queryMask && expandDims(queryMask, -1),
      rowMask(maskOf(ctx.valueMask, value)),
      rowMask(ctx.key === undefined ? asMask(ctx.keyMask) : maskOf(ctx.keyMask, key)),
    );
    const gate = this.gateDense?.apply(query);
    const projected: Projected = {
      query: this.queryDense.apply(query),
      key: this.keyDense.apply(key),
      value: this.valueDense.apply(value),
      mask: every(asMask(ctx.attentionMask), mask),
      causal: ctx.useCausalMask ?? false,
      training: ctx.training,
    };
    const [mixed, scores] =
      ctx.returnAttentionScores || !this.fuses(projected) ? this.compose(projected) : [this.fuse(projected), undefined];
    const output = this.outputDense.apply(gate ? multiply(mixed, gate) : mixed);
    output.mask = query.mask;
    return ctx.returnAttentionScores ? [output, scores!] : output;
  }

  protected maskOfQuery(given: Tensor | Operand | undefined, query: Tensor): Tensor | undefined {
    return maskOf(given, query);
  }

  /**
   * Whether one op does it. Composed, a query without keys gives zeros; in the op, as in Keras's, a mean of all: layers
   * with dropout must give zeros when they predict, too.
   */
  private fuses({ query, key, mask, training }: Projected): boolean {
    if (query.rank !== 4) return false;
    return this.dropout === 0 || (!training && !mask && query.dims[1]! <= key.dims[1]!);
  }

  private fuse({ query, key, value, mask, causal }: Projected): Tensor {
    return dotProductAttention(query, key, value, {
      ...(mask && { mask: widened(mask, 4, this.maskedAxes) }),
      scale: 1 / Math.sqrt(this.depth),
      isCausal: causal,
      ...(this.slidingWindow !== undefined && { slidingWindow: this.slidingWindow }),
    });
  }

  /** The mask with causality and window, with axes for the heads. */
  protected fullMask({ query, key, mask, causal }: Projected, rank: number): Tensor | undefined {
    const [queries, keys] = [query.dims[1]!, key.dims[1]!];
    const all = every(
      mask,
      causal ? causalMask(queries, keys) : undefined,
      this.slidingWindow === undefined ? undefined : windowMask(queries, keys, this.slidingWindow),
    );
    return all && widened(all, rank, this.maskedAxes);
  }

  /** Shares after a masked softmax, and what dropout leaves of them. */
  protected shares(scores: Tensor, mask: Tensor | undefined, training: boolean): [shares: Tensor, left: Tensor] {
    const shares: Tensor = this.softmaxLayer.apply(scores, mask ? { mask } : {});
    return [shares, this.dropout > 0 ? this.dropoutLayer.apply(shares, { training }) : shares];
  }

  protected makeDropout(): Dropout {
    return new Dropout({ rate: this.dropout, dtype: this.dtype, ...(this.seed !== undefined && { seed: this.seed }) });
  }

  /** A projection of its own initializers. */
  protected dense(
    name: string,
    equation: string,
    outputShape: readonly (number | null)[],
    biasAxes: string,
    activation?: 'sigmoid',
  ): EinsumDense {
    return new EinsumDense({
      name,
      dtype: this.dtype,
      equation,
      outputShape,
      ...(this.useBias && { biasAxes }),
      ...(activation && { activation }),
      kernelInitializer: fresh(this.kernelInitializer),
      biasInitializer: fresh(this.biasInitializer),
      kernelRegularizer: this.kernelRegularizer,
      biasRegularizer: this.biasRegularizer,
      activityRegularizer: this.sublayerRegularizer,
      kernelConstraint: this.kernelConstraint,
      biasConstraint: this.biasConstraint,
      trainable: this.trainable,
    } as ConstructorParameters<typeof EinsumDense>[0]);
  }

  private operands(query: unknown, { value, key }: Readonly<Record<string, unknown>>): Operands {
    if (!isTensor(query) || value === undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}" (${this.className}) needs a query and a value: apply(query, { value }), for self-attention apply(x, { value: x }).`,
        { details: { layer: this.name } },
      );
    const ready = (x: unknown): Tensor => {
      const converted = float(x as Operand);
      if (isTensor(x) && x !== converted) converted.mask = x.mask;
      return converted;
    };
    const values = ready(value);
    return { query, value: values, key: key === undefined ? values : ready(key) };
  }
}

function asMask(mask: Tensor | Operand | undefined): Tensor | undefined {
  return mask === undefined ? undefined : cast(mask, 'bool');
}

/** The mask given, or the one that layers above left on x. */
function maskOf(given: Tensor | Operand | undefined, x: Tensor): Tensor | undefined {
  return asMask(given ?? x.mask);
}

function rowMask(mask: Tensor | undefined): Tensor | undefined {
  return mask && expandDims(mask, -2);
}

/** The shapes of query, value and key, from a record of them, a list, or one shape for query and value. */
function shapesDict(shape: ShapeStructure): Shapes {
  if (!Array.isArray(shape)) return shape as unknown as Shapes;
  if (!Array.isArray(shape[0])) return { query_shape: shape as Shape, value_shape: shape as Shape };
  const [query, value, key] = shape as Shape[];
  return { query_shape: query!, value_shape: value ?? query!, ...(key && { key_shape: key }) };
}

/** Another one of the same config: without a seed of its own, each draws other numbers. */
function fresh(initializer: Initializer): Initializer {
  const cls = initializer.constructor as new (options: never) => Initializer;
  const config: Config = initializer.getConfig();
  return new cls(optionsFromConfig(config, cls) as never);
}
