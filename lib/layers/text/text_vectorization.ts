import type { Config, OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { HostOutput } from '../../graph/history.js';
import { openLength } from '../../graph/open_axes.js';
import type { Tensor } from '../../graph/tensor.js';
import { type NativeText, native, type TokenSteps } from '../../native.js';
import { type AnyArray, NDArray } from '../../ndarray.js';
import { findCustom, registeredName } from '../../registered.js';
import * as rules from '../../rules.js';
import { StringArray, stringsNow, stringsOf } from '../../strings.js';
import type { LayerOptions } from '../layer.js';
import { choice } from '../spatial.js';
import { type AdaptTexts, batchesOfTexts } from './adapt.js';
import { modernMode, type OutputMode, type OutputModeOption, vectorShape } from './encoding.js';
import { noSparse } from './hashing.js';
import { HostLayer, valueShape } from './host_layer.js';
import { StringLookup } from './string_lookup.js';
import { type HostValue, stringsIn } from './values.js';
import { inBackground, perform, type Work } from './work.js';

type Standardize = 'lower_and_strip_punctuation' | 'lower' | 'strip_punctuation';
type Split = 'whitespace' | 'character';
/** Texts to cleaner texts; runs on the main thread. */
export type StandardizeFunction = (texts: string[]) => readonly string[];
/** Texts to the tokens of each; runs on the main thread. */
export type SplitFunction = (texts: string[]) => readonly (readonly string[])[];

export interface TextVectorizationOptions extends LayerOptions {
  /** Size of the vocabulary at most, padding and unknown included. */
  maxTokens?: number;
  /** What is done to a text first; null: nothing. Default 'lowerAndStripPunctuation' (ASCII letters and punctuation). */
  standardize?: Standardize | 'lowerAndStripPunctuation' | 'stripPunctuation' | StandardizeFunction | null;
  /** How a text becomes tokens; null: it is one. Default 'whitespace'. */
  split?: Split | SplitFunction | null;
  /** Also (number: up to so many) or only (list: just these) groups of neighbouring tokens. */
  ngrams?: number | readonly number[];
  /** Default 'int': an id per token. The others give a vector per text. */
  outputMode?: OutputModeOption;
  /** Ids per text with outputMode 'int': cut or padded with 0. Without it, as many as the longest text of the data has. */
  outputSequenceLength?: number;
  /** Vectors are as long as maxTokens, however many tokens there are. Default false. */
  padToMaxTokens?: boolean;
  /** The tokens, or the path of a text file with one per line; otherwise adapt() learns them. */
  vocabulary?: readonly string[] | string;
  /** Factors for outputMode 'tf_idf', one per token of `vocabulary`. */
  idfWeights?: readonly number[];
  /** Only false. */
  sparse?: boolean;
  /** Only false. */
  ragged?: boolean;
  /** The size that a file says the vocabulary has. @internal */
  vocabularySize?: number;
}

/** Texts of a batch on their way: strings, and where the tokens of each end once they are split. */
interface Texts {
  strings: StringArray;
  rowEnds?: Int32Array;
}

/**
 * Texts to ids or vectors: standardise, split, look up
 * (https://keras.io/api/layers/preprocessing_layers/text/text_vectorization/). Learns its vocabulary with `adapt`.
 */
export class TextVectorization extends HostLayer {
  static override readonly options: OptionTable = {
    maxTokens: rules.integer(2),
    standardize: 'nullable',
    split: 'nullable',
    ngrams: rules.orList(rules.integer(1)),
    outputMode: 'value',
    outputSequenceLength: rules.integer(1),
    padToMaxTokens: rules.flag,
    sparse: rules.flag,
    ragged: rules.flag,
    vocabulary: 'value',
    idfWeights: rules.listOf(rules.number),
    vocabularySize: 'local',
  };
  static override readonly neutral: Config = { encoding: 'utf-8' };
  static override readonly savedNames = { lookup: '_lookup_layer' };
  readonly maxTokens: number | undefined;
  readonly standardize: Standardize | StandardizeFunction | null;
  readonly split: Split | SplitFunction | null;
  readonly ngrams: number | readonly number[] | undefined;
  readonly outputMode: OutputMode;
  readonly outputSequenceLength: number | undefined;
  readonly padToMaxTokens: boolean;
  readonly sparse: false;
  readonly ragged: false;
  /** Keeps the vocabulary. */
  readonly lookup: StringLookup;

  constructor(options: TextVectorizationOptions = {}) {
    super(options);
    const where = 'TextVectorization';
    const refuse = (text: string): never => {
      throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: ${text}`);
    };
    const { maxTokens, ngrams, outputSequenceLength: length } = options;
    this.maxTokens = maxTokens;
    this.standardize = functionOr<StandardizeFunction, Standardize>(options.standardize, (word) =>
      choice(where, 'standardize', word, ['lower_and_strip_punctuation', 'lower', 'strip_punctuation']),
    );
    this.split = functionOr<SplitFunction, Split>(options.split, (word) =>
      choice(where, 'split', word, ['whitespace', 'character']),
    );
    this.ngrams = ngrams;
    const modes = ['int', 'one_hot', 'multi_hot', 'count', 'tf_idf'] as const;
    this.outputMode = choice(where, 'outputMode', modernMode(options.outputMode), modes);
    this.outputSequenceLength = length;
    if (this.outputMode !== 'int' && length !== undefined)
      refuse('outputSequenceLength goes with outputMode "int" only.');
    if (this.outputMode === 'one_hot' && this.split !== null)
      refuse('outputMode "one_hot" would give each text another number of vectors; use "multi_hot" or "count".');
    this.padToMaxTokens = options.padToMaxTokens ?? false;
    this.sparse = noSparse(where, options.sparse);
    if (options.ragged)
      throw new ChainruleError(
        'ERR_CHAINRULE_UNSUPPORTED',
        `${where}: ragged outputs are not supported; use outputSequenceLength.`,
      );
    this.ragged = false;
    const { vocabulary, idfWeights, vocabularySize } = options;
    this.lookup = new StringLookup({
      maskToken: '',
      outputMode: this.outputMode,
      padToMaxTokens: this.padToMaxTokens,
      maxTokens,
      vocabulary,
      idfWeights,
      ...(vocabularySize !== undefined && !startsEmpty(vocabularySize, this.outputMode) && { vocabularySize }),
    });
  }

  get vocabulary(): readonly string[] | undefined {
    return this.lookup.vocabulary;
  }

  get idfWeights(): readonly number[] | undefined {
    return this.lookup.idfWeights;
  }

  /** Tokens by id: padding and unknown first (unless left out), then the most frequent. */
  getVocabulary(options?: { includeSpecialTokens?: boolean }): string[] {
    return this.lookup.getVocabulary(options);
  }

  /** Number of ids, special tokens included. */
  vocabularySize(): number {
    return this.lookup.vocabularySize();
  }

  /** Replaces the vocabulary: its tokens, or the path of a file with one per line. */
  setVocabulary(vocabulary: readonly string[] | string, idfWeights?: readonly number[]): void {
    this.lookup.setVocabulary(vocabulary, idfWeights);
  }

  override get missing(): string | undefined {
    return this.lookup.missing;
  }

  /** Learns the vocabulary from texts: strings, a Dataset, or any (async) iterable of batches of strings. */
  async adapt(data: AdaptTexts): Promise<void> {
    const counter = new native.TokenCounter();
    for await (const { value } of batchesOfTexts(`${this.name}.adapt`, data)) {
      this.lookup.checkAdaptable(stringsIn(value) !== undefined);
      const texts = this.squeezed(value);
      const ready = await inBackground(this.prepared(texts));
      // Without a split, the texts of a row are the tokens of a document.
      const rowSize = this.split === null && texts.rank > 1 ? texts.shape.at(-1)! : 1;
      if (texts.size > 0) await counter.add(sourceOf(ready, rowSize), this.steps);
    }
    await this.lookup.learn(counter);
  }

  protected override hostShape([x]: readonly Tensor[]): HostOutput {
    const dims = this.split === null || x!.rank < 2 ? x!.dims : x!.dims.slice(0, -1);
    if (this.outputMode !== 'int') return this.lookup.shapeFor(this.split === null ? dims : [...dims, 1]);
    const output = { dtype: 'int32', hostDtype: 'int64' } as const;
    const { outputSequenceLength: length } = this;
    if (this.split === null) return { dims: length === undefined ? dims : [...dims.slice(0, -1), length], ...output };
    return { dims: [...dims, length ?? openLength], ...output };
  }

  override *work([value]: readonly HostValue[]): Work<AnyArray | StringArray> {
    this.needReady();
    const texts = this.squeezed(value!);
    const ready = yield* this.prepared(texts);
    const { shape } = texts;
    const rows = shape.slice(0, -1);
    const whole = this.split === null;
    // Without a split, a row of texts is a row of tokens.
    const source = sourceOf(ready, whole ? (shape.at(-1) ?? 1) : 1);
    if (this.outputMode === 'one_hot')
      return yield* this.lookup.encode(source, this.steps, (depth) => vectorShape(shape, 'one_hot', depth));
    if (this.outputMode !== 'int')
      return yield* this.lookup.encode(source, this.steps, (depth) => [...(whole ? rows : shape), depth]);
    const size = this.outputSequenceLength ?? -1;
    const result = yield* this.lookup.encode(source, { ...this.steps, form: 'padded', size }, (width) =>
      shape.length === 0 || !whole ? [...shape, width] : [...rows, width],
    );
    return shape.length === 0 && whole ? new NDArray(result.data, [], result.dtype) : result;
  }

  /** The native steps: those that no function of the user replaces. */
  private get steps(): TokenSteps {
    const { standardize, split, ngrams } = this;
    const widths = typeof ngrams === 'number' ? Array.from({ length: ngrams }, (_, i) => i + 1) : ngrams;
    return {
      lower: standardize === 'lower' || standardize === 'lower_and_strip_punctuation',
      stripPunctuation: standardize === 'strip_punctuation' || standardize === 'lower_and_strip_punctuation',
      split: typeof split === 'string' ? split : undefined,
      ngrams: widths,
    };
  }

  /** Texts after the functions of the user; without any, as they are: the rest is native. */
  private *prepared(texts: StringArray): Work<Texts> {
    let strings = texts;
    if (typeof this.standardize === 'function') {
      const clean = this.checked('standardize', this.standardize(strings.toList()), strings.size);
      strings = yield* this.converted(clean);
    }
    if (typeof this.split !== 'function') return { strings };
    if (typeof this.standardize === 'string') {
      const { bytes, offsets } = strings;
      const clean = yield* perform({
        background: () => native.standardizeText({ bytes, offsets }, this.steps),
        now: () => native.standardizeTextSync({ bytes, offsets }, this.steps),
      });
      strings = new StringArray(clean.bytes, clean.offsets);
    }
    const split = this.checked('split', this.split(strings.toList()), strings.size);
    let end = 0;
    const rowEnds = Int32Array.from(split, (tokens) => (end += tokens.length));
    return { strings: yield* this.converted(split.flat()), rowEnds };
  }

  private converted(list: readonly string[]): Work<StringArray> {
    const name = `${this.name}: what its function gave`;
    return perform({ background: () => stringsOf(list, name), now: () => stringsNow(list, name) });
  }

  private checked<R>(option: string, result: readonly R[], count: number): readonly R[] {
    if (Array.isArray(result) && result.length === count) return result;
    const got = Array.isArray(result) ? `${(result as unknown[]).length} elements` : typeof result;
    throw this.wrong(
      'ERR_CHAINRULE_VALUE',
      `the function of option ${option} must give a list with an element for each of ${count} texts, got ${got}.`,
    );
  }

  /** Texts to be split come one to a row. */
  private squeezed(value: HostValue): StringArray {
    const texts = stringsIn(value);
    if (!texts) throw this.wrong('ERR_CHAINRULE_DTYPE', 'it takes strings, but it got numbers.');
    if (this.split === null || texts.rank < 2) return texts;
    if (texts.shape.at(-1) === 1) return texts.reshape(texts.shape.slice(0, -1));
    throw this.wrong(
      'ERR_CHAINRULE_SHAPE',
      `it takes one text to a row, inputs of shape [n] or [n, 1]; got ${valueShape(value)}.`,
    );
  }

  override saveAssets(): Map<string, Uint8Array> {
    return this.lookup.saveAssets();
  }

  override loadAssets(files: ReadonlyMap<string, Uint8Array>): void {
    this.lookup.loadAssets(files);
  }

  override savedArrays(): Map<string, NDArray> {
    return this.lookup.savedArrays();
  }

  override loadArrays(arrays: ReadonlyMap<string, NDArray>): void {
    this.lookup.loadArrays(arrays);
  }

  override getConfig(): Config {
    const standardize = this.functionConfig('standardize', this.standardize);
    const split = this.functionConfig('split', this.split);
    return { ...super.getConfig(), standardize, split, vocabulary_size: this.vocabularySize() };
  }

  private functionConfig(option: string, value: unknown): unknown {
    if (typeof value !== 'function') return value;
    const name = registeredName(value);
    if (name) return { module: 'builtins', class_name: 'function', config: value.name, registered_name: name };
    throw this.wrong(
      'ERR_CHAINRULE_UNSUPPORTED',
      `option ${option} is a function, which a file cannot hold; register it with registerClass, so that a file can name it.`,
    );
  }
}

function sourceOf({ strings, rowEnds }: Texts, rowSize: number): NativeText {
  const { bytes, offsets } = strings;
  return rowEnds ? { bytes, offsets, rowEnds } : { bytes, offsets, rowSize };
}

/** A function as it is, or by the name that a file gives it; a word is checked. */
function functionOr<F extends (texts: string[]) => unknown, W extends string>(
  value: unknown,
  word: (value: string | undefined) => W,
): F | W | null {
  if (value === null) return null;
  if (typeof value === 'function') return value as F;
  if (typeof value === 'object') {
    const { config, registered_name: registered } = value as { config?: string; registered_name?: string };
    const found = findCustom(registered, config);
    if (typeof found === 'function') return found as F;
    throw new ChainruleError(
      'ERR_CHAINRULE_UNKNOWN_CLASS',
      `TextVectorization: the file names the function "${String(config)}"; pass it in customObjects or register it with registerClass.`,
    );
  }
  return word(value as string | undefined);
}

/** Keras writes the size of the special tokens into the config of a layer that was not adapted, which says nothing. */
const startsEmpty = (size: number, mode: OutputMode): boolean => size <= (mode === 'int' ? 2 : 1);
