import { type Config, checked, type OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { HostOutput } from '../../graph/history.js';
import type { Tensor } from '../../graph/tensor.js';
import { native } from '../../native.js';
import { type AnyArray, NDArray } from '../../ndarray.js';
import * as rules from '../../rules.js';
import type { LayerOptions } from '../layer.js';
import { choice } from '../spatial.js';
import { encoded, formOf, vectorShape } from './encoding.js';
import { type HostInput, HostLayer, textSource } from './host_layer.js';
import { type HostValue, hostValue } from './values.js';
import { inBackground, perform, type Work } from './work.js';

export type Salt = number | readonly [number, number];

/** Two integers: one number stands for both. */
export function saltOption(where: string, salt: Salt | undefined): readonly [number, number] | undefined {
  if (salt === undefined) return undefined;
  const pair = typeof salt === 'number' ? [salt, salt] : salt;
  if (Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger)) return [pair[0]!, pair[1]!];
  throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: salt must be an integer or two, got ${String(salt)}.`);
}

/** No tokens: everything goes into buckets. */
const empty = { bytes: new Uint8Array(0), offsets: new Int32Array(1) };

export interface HashingOptions extends LayerOptions {
  /** Number of bins. */
  numBins: number;
  /** This value goes into bin 0, and nothing else does. */
  maskValue?: string | number;
  /** Hash by SipHash with this key; by FarmHash without one. */
  salt?: Salt;
  /** The bin's index, or a vector: one for each element, or one for a row. Default 'int'. */
  outputMode?: 'int' | 'one_hot' | 'multi_hot' | 'count' | 'oneHot' | 'multiHot';
  /** Only false: there are no sparse tensors here. */
  sparse?: boolean;
}

const integerPolicies = ['int64', 'int32'];

/** Refuses sparse outputs, which there are none of. */
export function noSparse(where: string, sparse: boolean | undefined): false {
  if (!sparse) return false;
  throw new ChainruleError('ERR_CHAINRULE_UNSUPPORTED', `${where}: sparse outputs are not supported.`);
}

/** Strings or integers into bins by their hash (https://keras.io/api/layers/preprocessing_layers/categorical/hashing/). */
export class Hashing extends HostLayer {
  static override readonly options: OptionTable = {
    numBins: rules.required(rules.integer(1), '100'),
    salt: 'value',
    maskValue: 'value',
    outputMode: 'value',
    sparse: rules.flag,
  };
  readonly numBins: number;
  readonly maskValue: string | number | undefined;
  readonly salt: readonly [number, number] | undefined;
  readonly outputMode: 'int' | 'one_hot' | 'multi_hot' | 'count';
  readonly sparse: false;
  private readonly vocabulary = new native.Vocabulary(empty);

  constructor(options: HashingOptions) {
    const outputMode = choice('Hashing', 'outputMode', checked(new.target, options).outputMode, [
      'int',
      'one_hot',
      'multi_hot',
      'count',
    ]);
    super({ dtype: outputMode === 'int' ? 'int64' : 'float32', ...options });
    this.outputMode = outputMode;
    this.numBins = options.numBins;
    this.maskValue = options.maskValue;
    this.salt = saltOption('Hashing', options.salt);
    this.sparse = noSparse('Hashing', options.sparse);
    if (outputMode === 'int' && this.dtype === 'float32')
      throw new ChainruleError('ERR_CHAINRULE_OPTION', 'Hashing: with outputMode "int", dtype is "int32" or "int64".');
  }

  protected override policy(dtype: LayerOptions['dtype']): string {
    const name = typeof dtype === 'object' ? dtype.config?.name : dtype;
    return integerPolicies.includes(String(name)) ? String(name) : super.policy(dtype);
  }

  protected override hostShape([x]: readonly Tensor[]): HostOutput {
    if (this.outputMode === 'int') return { dims: x!.dims, dtype: 'int32', hostDtype: 'int64' };
    if (this.outputMode !== 'one_hot' && x!.rank < 2)
      throw this.wrong('ERR_CHAINRULE_SHAPE', `outputMode "${this.outputMode}" needs rows, inputs of shape [null, n].`);
    return { dims: vectorShape(x!.dims, this.outputMode, this.numBins), dtype: 'float32' };
  }

  override *work([value]: readonly HostValue[]): Work<AnyArray> {
    const { numBins, maskValue, outputMode: mode, salt } = this;
    const masked = maskValue !== undefined && numBins > 1;
    const rule = {
      firstToken: 0,
      firstBucket: masked ? 1 : 0,
      buckets: masked ? numBins - 1 : numBins,
      mask: masked ? String(maskValue) : undefined,
      maskId: 0,
      salt,
    };
    const { shape } = value!;
    const rowSize = mode === 'multi_hot' || mode === 'count' ? (shape.at(-1) ?? 1) : 1;
    const result = mode === 'int' ? shape : vectorShape(shape, mode, numBins);
    const form = mode === 'int' ? ('ids' as const) : formOf(mode);
    return yield* encoded(
      this.vocabulary,
      textSource(value!, rowSize),
      { ...rule, form, ...(mode !== 'int' && { size: numBins }) },
      () => result,
    );
  }
}

export interface HashedCrossingOptions extends LayerOptions {
  /** Number of bins. */
  numBins: number;
  /** The bin's index, or a vector with a 1 in its place. Default 'int'. */
  outputMode?: 'int' | 'one_hot' | 'oneHot';
  /** Only false. */
  sparse?: boolean;
}

/**
 * Combinations of several features (strings or integers, [n] or [n, 1]) into bins by their joint hash
 * (https://keras.io/api/layers/preprocessing_layers/categorical/hashed_crossing/).
 */
export class HashedCrossing extends HostLayer {
  static override readonly options: OptionTable = {
    numBins: rules.required(rules.integer(1), '100'),
    outputMode: 'value',
    sparse: rules.flag,
  };
  readonly numBins: number;
  readonly outputMode: 'int' | 'one_hot';
  readonly sparse: false;

  constructor(options: HashedCrossingOptions) {
    const outputMode = choice('HashedCrossing', 'outputMode', checked(new.target, options).outputMode, [
      'int',
      'one_hot',
    ]);
    super({ dtype: outputMode === 'int' ? 'int64' : 'float32', ...options });
    this.outputMode = outputMode;
    this.numBins = options.numBins;
    this.sparse = noSparse('HashedCrossing', options.sparse);
  }

  protected override policy(dtype: LayerOptions['dtype']): string {
    const name = typeof dtype === 'object' ? dtype.config?.name : dtype;
    return integerPolicies.includes(String(name)) ? String(name) : super.policy(dtype);
  }

  /** The features as a list, at least two. */
  override async compute<O = NDArray>(features: readonly HostInput[]): Promise<O> {
    const values: HostValue[] = [];
    for (const [i, feature] of features.entries())
      values.push(await inBackground(hostValue(feature, `${this.name}.compute, feature ${i}`)));
    return (await inBackground(this.work(values))) as unknown as O;
  }

  protected override hostShape(features: readonly Tensor[]): HostOutput {
    this.checkFeatures(features.map(({ shape }) => shape));
    const { dims } = features[0]!;
    return this.outputMode === 'int'
      ? { dims, dtype: 'int32', hostDtype: 'int64' }
      : { dims: vectorShape(dims, 'one_hot', this.numBins), dtype: 'float32' };
  }

  override *work(features: readonly HostValue[]): Work<AnyArray> {
    this.checkFeatures(features.map(({ shape }) => shape));
    const sources = features.map((feature) => textSource(feature));
    const bins = yield* perform({
      background: () => native.crossHash(sources, this.numBins),
      now: () => native.crossHashSync(sources, this.numBins),
    });
    const { shape } = features[0]!;
    if (this.outputMode === 'int') return new NDArray(bins, shape) as AnyArray;
    const vectors = new Float32Array(bins.length * this.numBins);
    bins.forEach((bin, i) => {
      vectors[i * this.numBins + bin] = 1;
    });
    return new NDArray(vectors, vectorShape(shape, 'one_hot', this.numBins)) as AnyArray;
  }

  private checkFeatures(shapes: readonly (readonly (number | null)[])[]): void {
    const [first] = shapes;
    const fits =
      shapes.length >= 2 &&
      shapes.every((shape) => shape.join() === first!.join()) &&
      first!.length <= 2 &&
      (first!.length < 2 || first!.at(-1) === 1);
    if (fits) return;
    throw this.wrong(
      'ERR_CHAINRULE_SHAPE',
      `it takes at least two features of one shape, [n] or [n, 1]; got ${shapes.map((shape) => `[${shape.map(String).join(', ')}]`).join(', ')}.`,
    );
  }

  /** Keras writes less here than for other layers. */
  override getConfig(): Config {
    const { numBins, outputMode, sparse, name, dtype } = this;
    return { num_bins: numBins, output_mode: outputMode, sparse, name, dtype };
  }
}
