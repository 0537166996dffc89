import { readFileSync } from 'node:fs';
import type { Config, OptionTable, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { HostOutput } from '../../graph/history.js';
import type { Tensor } from '../../graph/tensor.js';
import { type EncodeOptions, type NativeTextSource, type NativeVocabulary, native } from '../../native.js';
import { type AnyArray, NDArray } from '../../ndarray.js';
import { sharedObjects } from '../../registered.js';
import { StringArray, stringsNow } from '../../strings.js';
import { integerOption } from '../kernel_layer.js';
import type { LayerOptions } from '../layer.js';
import { choice } from '../spatial.js';
import { type AdaptTexts, batchesOfTexts } from './adapt.js';
import { encoded, formOf, modernMode, type OutputMode, type OutputModeOption, vectorShape } from './encoding.js';
import { noSparse, type Salt, saltOption } from './hashing.js';
import { HostLayer, textSource } from './host_layer.js';
import { type HostValue, Integers } from './values.js';
import type { Work } from './work.js';

/** Options that all lookups share; T is what the tokens are. */
export interface LookupOptions<T> extends LayerOptions {
  /** Size of the vocabulary at most, special tokens included. */
  maxTokens?: number | undefined;
  /** Ids for what is not in the vocabulary; several share it out by hash. Default 1; 0: such inputs are errors. */
  numOovIndices?: number;
  /** A token that counts as nothing: id 0 with outputMode 'int', dropped otherwise. */
  maskToken?: T | null;
  /** What an inverted lookup gives for unknown ids. */
  oovToken?: T | null;
  /** The tokens, or the path of a text file with one per line; otherwise adapt() learns them. */
  vocabulary?: readonly T[] | string | undefined;
  /** Factors for outputMode 'tf_idf', one per token of `vocabulary`. */
  idfWeights?: readonly number[] | undefined;
  /** From ids back to tokens. Default false. */
  invert?: boolean;
  /** Default 'int'. */
  outputMode?: OutputModeOption;
  /** Vectors are as long as maxTokens, however many tokens there are. Default false. */
  padToMaxTokens?: boolean;
  /** Only false. */
  sparse?: boolean;
  /** How unknown integers are shared out: by remainder or by hash. Default 'floormod'. */
  oovMethod?: 'floormod' | 'farmhash';
  /** Hash by SipHash with this key. */
  salt?: Salt;
  /** The size that a file says the vocabulary has. @internal */
  vocabularySize?: number;
}

/** A token that is dropped: no vector is that long. */
const dropped = 2 ** 31 - 1;
const assetName = 'vocabulary.txt';

/** Tokens to ids and back by a vocabulary that is given or learned (IndexLookup in Keras). */
export abstract class IndexLookup<T extends string | number> extends HostLayer {
  static override readonly options: OptionTable = {
    invert: 'value',
    maxTokens: 'value',
    numOovIndices: 'value',
    oovToken: 'nullable',
    maskToken: 'value',
    outputMode: 'value',
    sparse: 'value',
    padToMaxTokens: 'value',
    idfWeights: 'value',
    vocabulary: 'value',
    oovMethod: 'value',
    salt: 'value',
    vocabularySize: 'local',
  };
  readonly maxTokens: number | undefined;
  readonly numOovIndices: number;
  readonly maskToken: T | null;
  readonly oovToken: T | null;
  readonly invert: boolean;
  readonly outputMode: OutputMode;
  readonly padToMaxTokens: boolean;
  readonly sparse: false;
  readonly oovMethod: 'floormod' | 'farmhash';
  readonly salt: readonly [number, number] | undefined;
  /** As given: it stands in the config, and then in no file of its own. */
  readonly vocabulary: readonly T[] | undefined;
  readonly idfWeights: readonly number[] | undefined;
  /** Whether adapt() is closed: the vocabulary came with the options. */
  private readonly fixed: boolean;
  /** The size that symbolic calls saw. */
  private frozenSize: number | undefined;
  private tokens: StringArray | undefined;
  private table: NativeVocabulary | undefined;
  /** By id, special tokens and padding included. */
  private idf: Float32Array | undefined;

  constructor(options: LookupOptions<T>, oovToken: T) {
    super(options);
    const where = this.className;
    const refuse = (text: string): never => {
      throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: ${text}`);
    };
    const { maxTokens, vocabulary } = options;
    this.maxTokens = maxTokens === undefined ? undefined : integerOption(where, 'maxTokens', maxTokens, 2);
    this.numOovIndices = integerOption(where, 'numOovIndices', options.numOovIndices ?? 1, 0);
    this.maskToken = options.maskToken ?? null;
    this.oovToken = options.oovToken === undefined ? oovToken : options.oovToken;
    this.invert = options.invert ?? false;
    const modes = ['int', 'one_hot', 'multi_hot', 'count', 'tf_idf'] as const;
    this.outputMode = choice(where, 'outputMode', modernMode(options.outputMode), modes);
    this.padToMaxTokens = options.padToMaxTokens ?? false;
    this.sparse = noSparse(where, options.sparse);
    this.oovMethod = choice(where, 'oovMethod', options.oovMethod, ['floormod', 'farmhash']);
    this.salt = saltOption(where, options.salt);
    if (this.padToMaxTokens && maxTokens === undefined) refuse('padToMaxTokens needs maxTokens.');
    if (this.invert && this.outputMode !== 'int') refuse('invert goes with outputMode "int" only.');
    if (this.salt && this.integers && this.oovMethod !== 'farmhash') refuse('salt needs oovMethod "farmhash".');
    if (options.idfWeights !== undefined && this.outputMode !== 'tf_idf')
      refuse('idfWeights go with outputMode "tf_idf" only.');
    if (vocabulary !== undefined && this.outputMode === 'tf_idf' && options.idfWeights === undefined)
      refuse('a vocabulary with outputMode "tf_idf" needs idfWeights, one per token.');
    this.fixed = vocabulary !== undefined;
    this.vocabulary = typeof vocabulary === 'string' ? undefined : vocabulary;
    this.idfWeights = options.idfWeights;
    this.frozenSize = options.vocabularySize;
    if (vocabulary !== undefined) this.setVocabulary(vocabulary, options.idfWeights);
  }

  /** Whether tokens are integers. */
  protected get integers(): boolean {
    return false;
  }
  /** A token of the vocabulary from its text. */
  protected abstract token(text: string): T;

  override get inputDtype(): 'string' | 'int32' {
    return this.integers || this.invert ? 'int32' : 'string';
  }

  override get missing(): string | undefined {
    if (this.table) return undefined;
    return 'it has no vocabulary yet. Give it one with the option vocabulary or setVocabulary(), or await layer.adapt(data).';
  }

  private get firstBucket(): number {
    return this.maskToken !== null && this.outputMode === 'int' ? 1 : 0;
  }

  private get firstToken(): number {
    return this.firstBucket + this.numOovIndices;
  }

  /** Tokens by id: first the special ones (unless left out), then those learned, most frequent first. */
  getVocabulary({ includeSpecialTokens = true }: { includeSpecialTokens?: boolean } = {}): T[] {
    const learned = (this.tokens?.toList() ?? []).map((text) => this.token(text));
    if (!includeSpecialTokens) return learned;
    const mask = this.firstBucket === 1 ? [this.maskToken as T] : [];
    return [...mask, ...Array<T>(this.numOovIndices).fill(this.oovToken as T), ...learned];
  }

  /** Number of ids, special tokens included. */
  vocabularySize(): number {
    return this.firstToken + (this.tokens?.size ?? 0);
  }

  /** Replaces the vocabulary: its tokens (special tokens may lead them), or the path of a file with one per line. */
  setVocabulary(vocabulary: readonly T[] | string, idfWeights?: readonly number[]): void {
    if ((this.outputMode === 'tf_idf') !== (idfWeights !== undefined))
      throw this.wrong('ERR_CHAINRULE_OPTION', 'idfWeights are given with outputMode "tf_idf", and only then.');
    if (typeof vocabulary === 'string') {
      this.keep(this.readFile(vocabulary), false);
      return;
    }
    const { firstToken } = this;
    const special = this.getVocabulary().slice(0, firstToken);
    const led = special.every((token, i) => vocabulary[i] === token);
    const tokens = led ? vocabulary.slice(firstToken) : vocabulary;
    this.checkTokens(vocabulary, tokens);
    this.keep(stringsNow(tokens.map(String), `${this.name}: vocabulary`), false);
    if (idfWeights) this.keepIdf(idfWeights, vocabulary.length, led ? 0 : firstToken);
  }

  /**
   * Learns the vocabulary: the tokens by frequency, ties in reverse order. Takes strings (or integers), a Dataset or any
   * (async) iterable of batches; what was learned before is forgotten.
   */
  async adapt(data: AdaptTexts): Promise<void> {
    const counter = new native.TokenCounter();
    for await (const { value, whole } of batchesOfTexts(`${this.name}.adapt`, data)) {
      if (value.size > 0) this.checkAdaptable(value instanceof StringArray);
      // A list of tokens given as a whole is one document each; as a batch it is one document.
      const rowSize = value.shape.length === 1 ? (whole ? 1 : value.size) : (value.shape.at(-1) ?? 1);
      if (value.size > 0) await counter.add(textSource(value, rowSize), {});
    }
    await this.learn(counter);
  }

  /** Throws where adapt cannot go on. @internal */
  checkAdaptable(strings: boolean): void {
    if (this.fixed)
      throw this.wrong(
        'ERR_CHAINRULE_STATE',
        'its vocabulary was given as an option, so adapt() has nothing to learn.',
      );
    if (strings === this.integers) throw this.wrongKind('adapt', !strings);
  }

  private wrongKind(who: string, numbers: boolean): ChainruleError {
    const [got, wanted] = numbers ? ['numbers', 'strings'] : ['strings', 'integers'];
    return this.wrong('ERR_CHAINRULE_DTYPE', `${who} got ${got}, but the layer looks up ${wanted}.`);
  }

  /** Takes the most frequent tokens of a counter. @internal */
  async learn(counter: InstanceType<typeof native.TokenCounter>): Promise<void> {
    const limit = this.maxTokens === undefined ? -1 : Math.max(0, this.maxTokens - this.firstToken);
    const without = [this.maskToken, this.oovToken].filter((token) => token !== null).map(String);
    const { bytes, offsets, documents, documentCount } = await counter.ranking(limit, without, this.integers);
    if (documents.length === 0)
      throw this.wrong('ERR_CHAINRULE_INPUT', 'adapt found no tokens in the data, so there is no vocabulary.');
    this.keep(new StringArray(bytes, offsets), true);
    if (this.outputMode !== 'tf_idf') return;
    const idf = Float32Array.from(documents, (count) => Math.log(1 + documentCount / (1 + count)));
    this.keepIdf(Array.from(idf), idf.length, this.firstToken);
  }

  private checkTokens(vocabulary: readonly T[], tokens: readonly T[]): void {
    const refuse = (text: string): never => {
      throw this.wrong('ERR_CHAINRULE_VALUE', text);
    };
    if (vocabulary.length === 0) refuse('the vocabulary is empty.');
    const bad = tokens.findIndex((token) => (this.integers ? !Number.isSafeInteger(token) : typeof token !== 'string'));
    if (bad >= 0)
      refuse(
        `token ${bad} of the vocabulary is ${String(tokens[bad])}, ${this.integers ? 'an integer' : 'a string'} is expected.`,
      );
    const seen = new Set<T>();
    for (const token of tokens) {
      if (seen.has(token)) refuse(`the vocabulary holds ${JSON.stringify(token)} twice; tokens must be unique.`);
      seen.add(token);
    }
    const place = `It does not belong into the vocabulary, or leads it with all special tokens: ${JSON.stringify(this.getVocabulary().slice(0, this.firstToken))}.`;
    if (this.maskToken !== null && seen.has(this.maskToken))
      refuse(`the mask token ${JSON.stringify(this.maskToken)} stands in the middle of the vocabulary. ${place}`);
    if (this.invert && this.oovToken !== null && seen.has(this.oovToken))
      refuse(`the OOV token ${JSON.stringify(this.oovToken)} stands in the middle of the vocabulary. ${place}`);
    const size = this.firstToken + tokens.length;
    if (this.maxTokens !== undefined && size > this.maxTokens)
      refuse(`the vocabulary has ${size} tokens with the special ones, more than maxTokens ${this.maxTokens}.`);
  }

  private keep(tokens: StringArray, learned: boolean): void {
    const size = this.firstToken + tokens.size;
    const sized = this.outputMode !== 'int' && !this.padToMaxTokens;
    if (sized && this.frozenSize !== undefined && this.frozenSize !== size)
      throw this.wrong(
        'ERR_CHAINRULE_STATE',
        `its outputs have ${this.frozenSize} numbers, and the ${learned ? 'learned' : 'new'} vocabulary would make them ${size}. Make a new layer, or use maxTokens with padToMaxTokens.`,
      );
    this.tokens = tokens;
    this.table = new native.Vocabulary({ bytes: tokens.bytes, offsets: tokens.offsets });
    this.frozenSize = size;
  }

  private keepIdf(weights: readonly number[], tokens: number, front: number): void {
    if (weights.length !== tokens)
      throw this.wrong('ERR_CHAINRULE_VALUE', `there are ${weights.length} idfWeights for ${tokens} tokens.`);
    // The weight of a token that was never seen is the mean of all.
    const mean = weights.reduce((total, weight) => total + weight, 0) / weights.length;
    const idf = new Float32Array(this.padToMaxTokens ? this.maxTokens! : front + weights.length);
    idf.fill(mean, 0, front);
    idf.set(weights.slice(0, idf.length - front), front);
    this.idf = idf;
  }

  /** Length of vectors. */
  private get depth(): number {
    return this.padToMaxTokens ? this.maxTokens! : (this.frozenSize ?? this.vocabularySize());
  }

  protected override hostShape([x]: readonly Tensor[]): HostOutput {
    return this.shapeFor(x!.dims);
  }

  /** The symbolic result for tokens of a shape. @internal */
  shapeFor(dims: readonly number[]): HostOutput {
    const mode = this.outputMode;
    if (mode === 'int')
      return this.invert && !this.integers
        ? { dims, dtype: 'uint8', hostDtype: 'string' }
        : { dims, dtype: 'int32', hostDtype: 'int64' };
    if (!this.padToMaxTokens && this.frozenSize === undefined) this.needReady();
    if (mode !== 'one_hot' && dims.length < 2)
      throw this.wrong(
        'ERR_CHAINRULE_SHAPE',
        `outputMode "${mode}" makes a vector of a row: inputs must be of shape [null, n].`,
      );
    this.checkRank(dims.length);
    return { dims: vectorShape(dims, mode, this.depth), dtype: 'float32' };
  }

  /** Keras's own answers differ from the shapes that it states for more axes. */
  private checkRank(rank: number): void {
    if (this.outputMode === 'int' || this.outputMode === 'one_hot' || rank <= 2) return;
    throw this.wrong(
      'ERR_CHAINRULE_SHAPE',
      `outputMode "${this.outputMode}" takes inputs of shape [n] or [n, k], got ${rank} axes.`,
    );
  }

  override *work([value]: readonly HostValue[]): Work<AnyArray | StringArray> {
    this.needReady();
    if (this.invert) return this.inverted(value!);
    const fits = value!.size === 0 || value instanceof StringArray !== this.integers;
    if (!fits) throw this.wrongKind('it', !(value instanceof StringArray));
    const { shape } = value!;
    const mode = this.outputMode;
    const rowSize = mode === 'int' || mode === 'one_hot' ? 1 : (shape.at(-1) ?? 1);
    this.checkRank(shape.length);
    const result = mode === 'int' ? shape : vectorShape(shape, mode, this.depth);
    return yield* this.encode(textSource(value!, rowSize), {}, () => result);
  }

  /** Ids, or vectors in the layer's mode, of the tokens of texts. @internal */
  *encode(
    source: NativeTextSource,
    options: Partial<EncodeOptions>,
    shape: (width: number) => readonly number[],
  ): Work<AnyArray> {
    this.needReady();
    const mode = this.outputMode;
    const int = mode === 'int';
    const rule = {
      firstToken: this.firstToken,
      firstBucket: this.firstBucket,
      buckets: this.numOovIndices,
      mask: this.maskToken === null ? undefined : String(this.maskToken),
      maskId: int ? 0 : dropped,
      modulo: this.integers && this.oovMethod === 'floormod',
      salt: this.salt,
    };
    const form = int ? { form: 'ids' as const } : { form: formOf(mode), size: this.depth };
    const weights = mode === 'tf_idf' ? { weights: this.idf } : {};
    try {
      return yield* encoded(this.table!, source, { ...rule, ...form, ...weights, ...options }, shape);
    } catch (error) {
      if (error instanceof ChainruleError && error.code === 'ERR_CHAINRULE_INPUT')
        throw this.wrong(error.code, `${error.message}. Use numOovIndices: 1 or more.`);
      throw error;
    }
  }

  private inverted(value: HostValue): AnyArray | StringArray {
    if (!(value instanceof Integers))
      throw this.wrong('ERR_CHAINRULE_DTYPE', 'an inverted lookup takes ids, but it got strings.');
    const { firstToken } = this;
    const texts = Array.from(value.numbers, (id) => {
      if (id === 0 && this.maskToken !== null) return this.maskToken;
      const at = id - firstToken;
      return at >= 0 && at < this.tokens!.size ? this.token(this.tokens!.get(at)) : (this.oovToken as T);
    });
    if (!this.integers) return stringsNow(texts, `${this.name}: the result`).reshape(value.shape);
    const large = texts.find((token) => Math.abs(token as number) >= 2 ** 31);
    if (large !== undefined)
      throw this.wrong('ERR_CHAINRULE_VALUE', `the token ${large} does not fit into int32, which results are.`);
    return new NDArray(Int32Array.from(texts as number[]), value.shape) as AnyArray;
  }

  private readFile(path: string): StringArray {
    if (sharedObjects())
      throw this.wrong(
        'ERR_CHAINRULE_UNSAFE_LAYER',
        `the model file names a vocabulary outside of it, "${path}", which is never read.`,
      );
    if (this.outputMode === 'tf_idf')
      throw this.wrong(
        'ERR_CHAINRULE_OPTION',
        'outputMode "tf_idf" takes no vocabulary file: pass tokens and idfWeights.',
      );
    try {
      const lines = readFileSync(path, 'utf8').split('\n');
      if (lines.at(-1) === '') lines.pop();
      return stringsNow(lines, `${this.name}: vocabulary`);
    } catch (error) {
      throw new ChainruleError(
        'ERR_CHAINRULE_IO',
        `${path}: the vocabulary cannot be read: ${(error as Error).message}`,
        {
          details: { path },
          cause: error,
        },
      );
    }
  }

  /** Keras writes no input shape for lookups. @internal */
  override savedBeside(): Partial<Serialized> {
    return { build_config: {} };
  }

  override getConfig(): Config {
    return { ...super.getConfig(), vocabulary_size: this.frozenSize ?? null };
  }

  /** A learned vocabulary lies beside the weights; a given one stands in the config. */
  override saveAssets(): Map<string, Uint8Array> {
    if (this.vocabulary) return new Map();
    const text = this.getVocabulary().map(String).join('\n');
    return new Map([[assetName, new TextEncoder().encode(text)]]);
  }

  override loadAssets(files: ReadonlyMap<string, Uint8Array>): void {
    const file = files.get(assetName);
    if (this.vocabulary || !file) return;
    const lines = new TextDecoder('utf-8', { ignoreBOM: true }).decode(file).split('\n');
    while (lines.at(-1) === '') lines.pop();
    if (lines.length <= this.firstToken) return;
    const tokens = lines.map((line) => this.token(line));
    // The weights of a padded layer go on behind the tokens.
    const idf = this.outputMode === 'tf_idf' ? Array.from(this.idf ?? []).slice(0, tokens.length) : undefined;
    this.setVocabulary(tokens, idf);
  }

  override savedArrays(): Map<string, NDArray> {
    return this.idf ? new Map([['idf_weights', new NDArray(this.idf)]]) : new Map();
  }

  override loadArrays(arrays: ReadonlyMap<string, NDArray>): void {
    const idf = arrays.get('idf_weights');
    if (idf) this.idf = Float32Array.from(idf.data);
  }
}

/** Strings to ids and back (https://keras.io/api/layers/preprocessing_layers/categorical/string_lookup/). */
export class StringLookup extends IndexLookup<string> {
  static override readonly neutral: Config = { encoding: 'utf-8' };

  constructor(options: LookupOptions<string> = {}) {
    super(options, '[UNK]');
  }

  protected override token(text: string): string {
    return text;
  }
}

/** Integers of any range to ids and back (https://keras.io/api/layers/preprocessing_layers/categorical/integer_lookup/). */
export class IntegerLookup extends IndexLookup<number> {
  static override readonly neutral: Config = { vocabulary_dtype: 'int64' };
  protected override get integers(): boolean {
    return true;
  }

  constructor(options: LookupOptions<number> = {}) {
    super(options, -1);
  }

  protected override token(text: string): number {
    return Number(text);
  }
}
