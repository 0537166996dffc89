import type { OptionTable, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import { einsum } from '../../ops/einsum.js';
import { multiply } from '../../ops/math.js';
import { repeat } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { Softmax } from '../activation.js';
import { knownSize } from '../kernel_layer.js';
import { type Projected, ProjectedAttention, type ProjectedAttentionOptions } from './projected.js';

export interface GroupedQueryAttentionOptions extends ProjectedAttentionOptions {
  /** Size of each head. */
  headDim: number;
  numQueryHeads: number;
  /** Heads of keys and values, each shared by numQueryHeads / numKeyValueHeads heads of queries. */
  numKeyValueHeads: number;
}

/**
 * As MultiHeadAttention, but heads of queries share heads of keys and values
 * (https://keras.io/api/layers/attention_layers/group_query_attention/).
 */
export class GroupedQueryAttention extends ProjectedAttention {
  static readonly kerasName = 'GroupQueryAttention';
  static readonly factory = 'layers.groupQueryAttention';
  static override readonly savedNames: Readonly<Record<string, string>> = {
    queryDense: '_query_dense',
    keyDense: '_key_dense',
    gateDense: '_gate_dense',
    valueDense: '_value_dense',
    softmaxLayer: '_softmax',
    dropoutLayer: '_dropout_layer',
    outputDense: '_output_dense',
  };
  static override readonly options: OptionTable = {
    headDim: rules.required(rules.integer(1), '64'),
    numQueryHeads: rules.required(rules.integer(1), '8'),
    numKeyValueHeads: rules.required(rules.integer(1), '2'),
  };
  readonly headDim: number;
  readonly numQueryHeads: number;
  readonly numKeyValueHeads: number;

  constructor(options: GroupedQueryAttentionOptions) {
    super(options);
    const { className } = this;
    this.headDim = options.headDim;
    this.numQueryHeads = options.numQueryHeads;
    this.numKeyValueHeads = options.numKeyValueHeads;
    if (this.numQueryHeads % this.numKeyValueHeads !== 0)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${className}: numQueryHeads ${this.numQueryHeads} must be a multiple of numKeyValueHeads ${this.numKeyValueHeads}.`,
      );
  }

  /** Keras exports the class under another name than its own, which names its layers. */
  override savedBeside(): Partial<Serialized> {
    return { ...super.savedBeside(), class_name: 'GroupQueryAttention' };
  }

  protected override get depth(): number {
    return this.headDim;
  }

  protected override get maskedAxes(): number {
    return 2;
  }

  protected override buildLayers(query: Shape, value: Shape, key: Shape): void {
    const features = knownSize(this, query, -1);
    const heads = (shape: Shape, name: string, count: number, activation?: 'sigmoid') => {
      const layer = this.dense(name, 'abc,cde->abde', [null, count, this.headDim], 'de', activation);
      layer.build(shape);
      return layer;
    };
    this.queryDense = heads(query, 'query', this.numQueryHeads);
    this.keyDense = heads(key, 'key', this.numKeyValueHeads);
    if (this.useGate) this.gateDense = heads(query, 'gate', this.numQueryHeads, 'sigmoid');
    this.valueDense = heads(value, 'value', this.numKeyValueHeads);
    this.softmaxLayer = new Softmax({ dtype: this.dtype });
    this.dropoutLayer = this.makeDropout();
    this.outputDense = this.dense('attention_output', 'abcd,cde->abe', [null, features], 'e');
    this.outputDense.build([null, null, this.numQueryHeads, this.headDim]);
  }

  protected override compose(projected: Projected): [output: Tensor, scores: Tensor] {
    const repeats = this.numQueryHeads / this.numKeyValueHeads;
    const [key, value] = [projected.key, projected.value].map((x) => (repeats === 1 ? x : repeat(x, repeats, 2)));
    const scores = einsum('bquh,bkuh->buqk', multiply(projected.query, 1 / Math.sqrt(this.headDim)), key!);
    const [shares, left] = this.shares(scores, this.fullMask(projected, 4), projected.training);
    return [einsum('buqk,bkuh->bquh', left, value!), shares];
  }
}
