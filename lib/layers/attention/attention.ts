import { type Config, checked, type OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { isTensor, type Shape, type Tensor } from '../../graph/tensor.js';
import type { Variable } from '../../graph/variable.js';
import { add, cast, logicalAnd, matmul, multiply, subtract, tanh, where } from '../../ops/math.js';
import { softmax } from '../../ops/nn.js';
import { dropWith, SeedGenerator } from '../../ops/random.js';
import { sum } from '../../ops/reduce.js';
import { expandDims } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import { type CallContext, Layer, type LayerOptions, type ShapeStructure, type TensorStructure } from '../layer.js';
import { causalMask } from './masks.js';

export interface AdditiveAttentionOptions extends LayerOptions {
  /** Learn a factor of the scores. */
  useScale?: boolean;
  /** The fraction of the shares that are zeroed in training. Default 0. */
  dropout?: number;
  seed?: number;
}

export interface AttentionOptions extends AdditiveAttentionOptions {
  /** 'dot': products of queries and keys (default); 'concat': sums of tanh of their sums. */
  scoreMode?: 'dot' | 'concat';
}

interface AttentionContext extends CallContext {
  readonly returnAttentionScores?: boolean;
  readonly useCausalMask?: boolean;
}

type Masks = readonly (Tensor | null | undefined)[];

/**
 * Looks up, for each query [N, queries, size], a mean of the values [N, keys, width] by how well their keys fit
 * (https://keras.io/api/layers/attention_layers/attention/). Call it on [query, value] or [query, value, key]; `mask` may be
 * [of the query, of the value], by default those that layers above left.
 */
export class Attention extends Layer {
  static override readonly callArguments: readonly string[] = [
    'mask',
    'training',
    'returnAttentionScores',
    'useCausalMask',
  ];
  static override readonly options: OptionTable = {
    useScale: rules.flag,
    scoreMode: 'value',
    dropout: rules.between(0, 1),
    seed: rules.integer(),
  };
  readonly useScale: boolean;
  readonly scoreMode: 'dot' | 'concat';
  readonly dropout: number;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator | undefined;
  scale: Variable | undefined;
  concatScoreWeight: Variable | undefined;

  constructor(options: AttentionOptions = {}) {
    super(options);
    this.useScale = options.useScale ?? false;
    this.scoreMode = options.scoreMode ?? 'dot';
    if (this.scoreMode !== 'dot' && this.scoreMode !== 'concat')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${this.className}: scoreMode must be "dot" or "concat", got ${String(this.scoreMode)}.`,
      );
    this.dropout = options.dropout ?? 0;
    this.seed = options.seed;
    if (this.dropout > 0) this.seedGenerator = new SeedGenerator(options.seed);
    this.supportsMasking = true;
  }

  override build(_shape: ShapeStructure): void {
    if (this.useScale) this.scale = this.addWeight('scale', [], { initializer: 'ones' });
    if (this.scoreMode === 'concat')
      this.concatScoreWeight = this.addWeight('concat_score_weight', [], { initializer: 'ones' });
  }

  protected scores(query: Tensor, key: Tensor): Tensor {
    if (this.scoreMode === 'dot') {
      const products = matmul(query, key, { transposeB: true });
      return this.scale ? multiply(products, this.scale) : products;
    }
    const sums = add(expandDims(query, -2), expandDims(key, -3));
    return multiply(sum(tanh(this.scale ? multiply(sums, this.scale) : sums), { axis: -1 }), this.concatScoreWeight!);
  }

  override call(inputs: TensorStructure, ctx: AttentionContext): TensorStructure {
    const [query, value, key] = this.operands(inputs);
    const [queryMask, valueMask] = this.masks(inputs, ctx.mask).map((mask) => (mask ? cast(mask, 'bool') : undefined));
    const scores = this.scores(query, key);
    const causal = ctx.useCausalMask ? causalMask(scores.dims.at(-2)!, scores.dims.at(-1)!) : undefined;
    const wide = valueMask && (causal || valueMask.rank === 2) ? expandDims(valueMask, -2) : valueMask;
    const seen = wide && causal ? logicalAnd(wide, causal) : (wide ?? causal);
    const shares = softmax(seen ? where(seen, scores, subtract(scores, 1e9)) : scores);
    const drops = ctx.training && this.seedGenerator;
    const left = drops ? dropWith(shares, drops.next(), this.dropout) : shares;
    let output = matmul(left, value);
    if (queryMask) output = where(expandDims(queryMask, -1), output, 0);
    output.mask = queryMask;
    return ctx.returnAttentionScores ? [output, shares] : output;
  }

  override computeMask(inputs: TensorStructure, mask: Tensor | undefined): Tensor | undefined {
    return this.masks(inputs, mask)[0] ?? undefined;
  }

  private masks(inputs: TensorStructure, given: unknown): Masks {
    if (Array.isArray(given)) return given as unknown as Masks;
    if (given !== undefined && given !== null)
      throw this.wrong('mask must be a list: [mask of the query, mask of the value]');
    return this.operands(inputs).map((x) => x.mask);
  }

  private operands(inputs: TensorStructure): [query: Tensor, value: Tensor, key: Tensor] {
    if (!Array.isArray(inputs) || inputs.length < 2 || inputs.length > 3 || !inputs.every(isTensor))
      throw this.wrong('a list [query, value] or [query, value, key] is expected');
    const [query, value, key] = inputs as Tensor[];
    return [query!, value!, key ?? value!];
  }

  private wrong(why: string): ChainruleError {
    return new ChainruleError('ERR_CHAINRULE_VALUE', `layer "${this.name}" (${this.className}): ${why}.`, {
      details: { layer: this.name },
    });
  }
}

/** As Attention, with scores Σ scale · tanh(query + key) (https://keras.io/api/layers/attention_layers/additive_attention/). */
export class AdditiveAttention extends Attention {
  constructor(options: AdditiveAttentionOptions = {}) {
    super({ ...checked(new.target, options), useScale: options.useScale ?? true });
  }

  override getConfig(): Config {
    const { score_mode: _, ...config } = super.getConfig();
    return config;
  }

  override build(shape: ShapeStructure): void {
    const [query] = shape as readonly Shape[];
    if (this.useScale) this.scale = this.addWeight('scale', [knownSize(this, query!, -1)]);
  }

  protected override scores(query: Tensor, key: Tensor): Tensor {
    const shaped = tanh(add(expandDims(query, -2), expandDims(key, -3)));
    return sum(this.scale ? multiply(shaped, this.scale) : shaped, { axis: -1 });
  }
}
