import type { Config, OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { multiply } from '../../ops/math.js';
import { cast } from '../../ops/operands.js';
import { max, sum } from '../../ops/reduce.js';
import { digitize } from '../../ops/search.js';
import { expandDims, oneHot, squeeze } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { type CallContext, Layer, type LayerOptions } from '../layer.js';
import { choice } from '../spatial.js';
import { type AdaptData, batchesOf } from './batches.js';
import { binBoundaries, mergeSummaries, type Summary, summarize } from './quantiles.js';

type Encoding = 'one_hot' | 'multi_hot' | 'count';

/** Integers as vectors of `depth` numbers: one for each, or one for all of a row. */
export function encodeCategories(ids: Tensor, mode: Encoding, depth: number, weights?: Tensor): Tensor {
  if (mode === 'one_hot') {
    const single = ids.rank > 1 && ids.dims.at(-1) === 1;
    return oneHot(single ? squeeze(ids, -1) : ids, depth);
  }
  const row = ids.rank > 1 ? 1 : 0;
  const hot = oneHot(ids, depth);
  if (mode === 'multi_hot') return max(hot, { axis: row });
  return sum(weights ? multiply(hot, expandDims(weights, -1)) : hot, { axis: row });
}

export interface CategoryEncodingOptions extends LayerOptions {
  /** Number of different integers, 0 … numTokens − 1. */
  numTokens: number;
  /** A vector for each integer, or one for a row: which occur, or how often. Default 'multiHot'. */
  outputMode?: 'oneHot' | 'multiHot' | 'count' | Encoding;
}

/** Integers as one-hot, multi-hot or count vectors (https://keras.io/api/layers/preprocessing_layers/categorical/category_encoding/). */
export class CategoryEncoding extends Layer {
  static override readonly options: OptionTable = {
    numTokens: rules.required(rules.integer(1), '10'),
    outputMode: 'value',
  };
  static override readonly callArguments: readonly string[] = ['countWeights'];
  readonly numTokens: number;
  readonly outputMode: Encoding;
  protected override autocast = false;

  constructor(options: CategoryEncodingOptions) {
    super(options);
    this.numTokens = options.numTokens;
    this.outputMode = choice('CategoryEncoding', 'outputMode', options.outputMode, ['multi_hot', 'one_hot', 'count']);
  }

  override call(ids: Tensor, ctx: CallContext): Tensor {
    const { countWeights } = ctx as { countWeights?: Tensor };
    if (countWeights && this.outputMode !== 'count')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `layer "${this.name}" (CategoryEncoding): countWeights is for outputMode "count", not "${this.outputMode}".`,
        { details: { layer: this.name } },
      );
    return encodeCategories(cast(ids, 'int32'), this.outputMode, this.numTokens, countWeights);
  }
}

export interface DiscretizationOptions extends LayerOptions {
  /** Where bins end, ascending; a number equal to a boundary belongs to the bin behind it. */
  binBoundaries?: readonly number[];
  /** The number of bins that adapt() makes of about equally many numbers. */
  numBins?: number;
  /** How exact adapt's quantiles are, as a fraction of all numbers. Default 0.01. */
  epsilon?: number;
  /** The bin's index, or a vector as CategoryEncoding makes it. Default 'int'. */
  outputMode?: 'int' | 'oneHot' | 'multiHot' | 'count' | Encoding;
  /** Only false: there are no sparse tensors here. */
  sparse?: boolean;
}

/** Numbers as the indices of bins (https://keras.io/api/layers/preprocessing_layers/numerical/discretization/). */
export class Discretization extends Layer {
  static override readonly options: OptionTable = {
    binBoundaries: rules.listOf(rules.number),
    numBins: rules.integer(1),
    epsilon: rules.above(0),
    outputMode: 'value',
    sparse: rules.flag,
  };
  /** Given, or learned by adapt(). */
  binBoundaries: readonly number[] | undefined;
  readonly numBins: number | undefined;
  readonly epsilon: number;
  readonly outputMode: 'int' | Encoding;
  readonly sparse: boolean;
  protected override autocast = false;

  constructor(options: DiscretizationOptions = {}) {
    super(options);
    const { binBoundaries: given, numBins } = options;
    if (given === undefined && numBins === undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        'Discretization: binBoundaries or numBins is missing. Write layers.discretization({ binBoundaries: [0, 10, 100] }), or give numBins and adapt it.',
      );
    this.binBoundaries = given;
    this.numBins = numBins;
    this.epsilon = options.epsilon ?? 0.01;
    this.outputMode = choice('Discretization', 'outputMode', options.outputMode, [
      'int',
      'one_hot',
      'multi_hot',
      'count',
    ]);
    this.sparse = options.sparse ?? false;
    if (this.sparse)
      throw new ChainruleError('ERR_CHAINRULE_UNSUPPORTED', 'Discretization: sparse outputs are not supported.');
  }

  override call(x: Tensor): Tensor {
    if (!this.binBoundaries)
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `layer "${this.name}" (Discretization): it has no bins yet; await layer.adapt(data) first.`,
        { details: { layer: this.name } },
      );
    const bins = digitize(cast(x, 'float32'), this.binBoundaries);
    return this.outputMode === 'int' ? bins : encodeCategories(bins, this.outputMode, this.binBoundaries.length + 1);
  }

  /** Keras leaves `trainable` out of this one, and writes the dtype as a name. */
  override getConfig(): Config {
    const { trainable: _, ...config } = super.getConfig();
    return { ...config, dtype: this.dtype };
  }

  /** Learns boundaries between bins of about equally many numbers, from an array or from batches. */
  async adapt(data: AdaptData): Promise<void> {
    if (this.numBins === undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `layer "${this.name}" (Discretization): binBoundaries were given; make it with numBins to adapt it.`,
      );
    let summary: Summary = { values: [], weights: [] };
    for await (const batch of batchesOf(`${this.name}.adapt`, data)) {
      summary = mergeSummaries(summarize(batch.data, this.epsilon), summary, this.epsilon);
    }
    this.binBoundaries = binBoundaries(summary, this.numBins);
  }
}
