import { type Config, checked, type OptionTable } from '../../config.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import { einsum } from '../../ops/einsum.js';
import { multiply } from '../../ops/math.js';
import { type Regularizer, regularizerFamily, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { Softmax } from '../activation.js';
import { type Projected, ProjectedAttention, type ProjectedAttentionOptions } from './projected.js';

export interface MultiHeadAttentionOptions extends ProjectedAttentionOptions {
  numHeads: number;
  /** Size of each head of queries and keys. */
  keyDim: number;
  /** Size of each head of values. Default keyDim. */
  valueDim?: number;
  /** Sizes of the output behind the positions. Default: the query's last one. */
  outputShape?: number | readonly number[];
  /** Axes of the positions, counted from 1. Default: all between batch and features. */
  attentionAxes?: number | readonly number[];
}

/**
 * Several heads of attention between projections of query, key and value, joined by a projection
 * (https://keras.io/api/layers/attention_layers/multi_head_attention/). Call it as `apply(query, { value, key, … })`, for
 * self-attention `apply(x, { value: x })`.
 */
export class MultiHeadAttention extends ProjectedAttention {
  static override readonly options: OptionTable = {
    numHeads: rules.required(rules.integer(1), '8'),
    keyDim: rules.required(rules.integer(1), '64'),
    valueDim: rules.integer(1),
    outputShape: rules.orList(rules.integer(1)),
    attentionAxes: rules.orList(rules.integer()),
  };
  readonly numHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly outputShape: readonly number[] | undefined;
  /** Known once the layer is built. */
  attentionAxes: readonly number[] | undefined;
  readonly #ofSublayers: Regularizer | undefined;
  #equations = { products: '', mix: '' };
  #scoresRank = 4;

  constructor(options: MultiHeadAttentionOptions) {
    // Keras hands the penalty on to the layers inside and applies none itself.
    const { activityRegularizer, ...others } = checked(new.target, options);
    super(others);
    this.#ofSublayers = resolveRegularizer(activityRegularizer);
    this.numHeads = options.numHeads;
    this.keyDim = options.keyDim;
    this.valueDim = options.valueDim ?? options.keyDim;
    const { outputShape, attentionAxes } = options;
    this.outputShape = typeof outputShape === 'number' ? [outputShape] : outputShape;
    this.attentionAxes = typeof attentionAxes === 'number' ? [attentionAxes] : attentionAxes;
  }

  override getConfig(): Config {
    const penalty = this.#ofSublayers;
    return { ...super.getConfig(), activity_regularizer: penalty ? regularizerFamily.serialize(penalty) : null };
  }

  protected override get sublayerRegularizer(): Regularizer | undefined {
    return this.#ofSublayers;
  }

  protected override get depth(): number {
    return this.keyDim;
  }

  protected override get maskedAxes(): number {
    return this.attentionAxes!.length * 2;
  }

  /** Keras overwrites a mask that is given with that of the query. */
  protected override maskOfQuery(_given: unknown, query: Tensor): Tensor | undefined {
    return query.mask;
  }

  protected override buildLayers(query: Shape, value: Shape, key: Shape): void {
    const heads = (shape: Shape, name: string, size: number, activation?: 'sigmoid') => {
      const { equation, biasAxes } = projection(shape.length - 1, 1, 2);
      const open = Array<null>(shape.length - 2).fill(null);
      const layer = this.dense(name, equation, [...open, this.numHeads, size], biasAxes, activation);
      layer.build(shape);
      return layer;
    };
    this.queryDense = heads(query, 'query', this.keyDim);
    this.keyDense = heads(key, 'key', this.keyDim);
    if (this.useGate) this.gateDense = heads(query, 'gate', this.valueDim, 'sigmoid');
    this.valueDense = heads(value, 'value', this.valueDim);

    const rank = value.length + 1;
    const axes = this.attentionAxes ?? Array.from({ length: rank - 3 }, (_, i) => i + 1);
    this.attentionAxes = axes.map((axis) => (axis < 0 ? axis + rank - 1 : axis));
    const { products, mix, scoresRank } = attention(rank, this.attentionAxes);
    this.#equations = { products, mix };
    this.#scoresRank = scoresRank;
    this.softmaxLayer = new Softmax({
      dtype: this.dtype,
      axis: this.attentionAxes.map((_, i) => i - this.attentionAxes!.length),
    });
    this.dropoutLayer = this.makeDropout();

    const output = this.outputShape ?? [query.at(-1)!];
    const { equation, biasAxes } = projection(query.length - 1, 2, output.length);
    const open = Array<null>(query.length - 2).fill(null);
    this.outputDense = this.dense('attention_output', equation, [...open, ...output], biasAxes);
    this.outputDense.build([...query.slice(0, -1), this.numHeads, this.valueDim]);
  }

  protected override compose(projected: Projected): [output: Tensor, scores: Tensor] {
    const scaled = multiply(projected.query, 1 / Math.sqrt(this.keyDim));
    const scores = einsum(this.#equations.products, projected.key, scaled);
    const mask = this.fullMask(projected, this.#scoresRank);
    const [shares, left] = this.shares(scores, mask, projected.training);
    return [einsum(this.#equations.mix, left, projected.value), shares];
  }
}

const letters = 'abcdefghijklmnopqrstuvwxyz';

/** Sums over the last `bound` of an input's axes, and puts `made` new ones behind the `free` first. */
function projection(free: number, bound: number, made: number): { equation: string; biasAxes: string } {
  const [kept, summed] = [letters.slice(0, free), letters.slice(free, free + bound)];
  const biasAxes = letters.slice(free + bound, free + bound + made);
  return { equation: `${kept}${summed},${summed}${biasAxes}->${kept}${biasAxes}`, biasAxes };
}

/**
 * The products of keys and queries [N, …, heads, size] over their size, [batch axes, heads, query axes, key axes], and
 * the sums of values by them.
 */
function attention(rank: number, axes: readonly number[]): { products: string; mix: string; scoresRank: number } {
  const target = [...letters.slice(0, rank)];
  let next = rank;
  const source = target.map((letter, axis) => (axes.includes(axis) ? letters[next++]! : letter));
  const batch = target.filter((_, axis) => axis !== rank - 1 && !axes.includes(axis));
  const scores = [...batch, ...axes.map((axis) => target[axis]), ...axes.map((axis) => source[axis])].join('');
  return {
    products: `${source.join('')},${target.join('')}->${scores}`,
    mix: `${scores},${source.join('')}->${target.join('')}`,
    scoresRank: scores.length,
  };
}
