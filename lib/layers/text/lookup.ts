import type { Config, OptionTable, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { HostOutput } from '../../graph/history.js';
import type { Tensor } from '../../graph/tensor.js';
import { type EncodeOptions, type NativeTextSource, type NativeVocabulary, native } from '../../native.js';
import { type AnyArray, NDArray } from '../../ndarray.js';
import { sharedObjects } from '../../registered.js';
import * as rules from '../../rules.js';
import { StringArray, stringsNow } from '../../strings.js';
import { choice } from '../spatial.js';
import { type AdaptTexts, batchesOfTexts } from './adapt.js';
import { encoded, formOf, modernMode, type OutputMode, vectorShape } from './encoding.js';
import { noSparse, saltOption } from './hashing.js';
import { HostLayer, textSource } from './host_layer.js';
import { checkTogether, type LookupOptions } from './lookup_options.js';
import { type HostValue, Integers } from './values.js';
import { idfTable, misfit, readVocabulary, savedLines } from './vocabulary.js';
import type { Work } from './work.js';

/** A token that is dropped: no vector is that long. */
const dropped = 2 ** 31 - 1;
const assetName = 'vocabulary.txt';

/** Tokens to ids and back by a vocabulary that is given or learned (IndexLookup in Keras). */
export abstract class IndexLookup<T extends string | number> extends HostLayer {
  static override readonly options: OptionTable = {
    invert: rules.flag,
    maxTokens: rules.integer(2),
    numOovIndices: rules.integer(0),
    oovToken: 'nullable',
    maskToken: 'value',
    outputMode: 'value',
    sparse: rules.flag,
    padToMaxTokens: rules.flag,
    idfWeights: rules.listOf(rules.number),
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
    const { maxTokens, vocabulary } = options;
    this.maxTokens = maxTokens;
    this.numOovIndices = options.numOovIndices ?? 1;
    this.maskToken = options.maskToken ?? null;
    this.oovToken = options.oovToken === undefined ? oovToken : options.oovToken;
    this.invert = options.invert ?? false;
    const modes = ['int', 'one_hot', 'multi_hot', 'count', 'tf_idf'] as const;
    this.outputMode = choice(where, 'outputMode', modernMode(options.outputMode), modes);
    this.padToMaxTokens = options.padToMaxTokens ?? false;
    this.sparse = noSparse(where, options.sparse);
    this.oovMethod = choice(where, 'oovMethod', options.oovMethod, ['floormod', 'farmhash']);
    this.salt = saltOption(where, options.salt);
    checkTogether(this, options);
    this.fixed = vocabulary !== undefined;
    this.vocabulary = typeof vocabulary === 'string' ? undefined : vocabulary;
    this.idfWeights = options.idfWeights;
    this.frozenSize = options.vocabularySize;
    if (vocabulary !== undefined) this.setVocabulary(vocabulary, options.idfWeights);
  }

  /** Whether tokens are integers. @internal */
  get integers(): boolean {
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
  getVocabulary(options: { includeSpecialTokens?: boolean } = {}): T[] {
    rules.checkRules('getVocabulary', options, { includeSpecialTokens: rules.flag });
    const { includeSpecialTokens = true } = options;
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
    const wrong = misfit(this, vocabulary, tokens, special);
    if (wrong) throw this.wrong('ERR_CHAINRULE_VALUE', wrong);
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
    this.idf = idfTable(weights, front, this.padToMaxTokens ? this.maxTokens! : front + weights.length);
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
    return readVocabulary(path, this.name);
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
    return new Map([[assetName, new TextEncoder().encode(this.getVocabulary().join('\n'))]]);
  }

  override loadAssets(files: ReadonlyMap<string, Uint8Array>): void {
    const file = files.get(assetName);
    if (this.vocabulary || !file) return;
    const lines = savedLines(file);
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
