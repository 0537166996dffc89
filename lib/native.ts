/**
 * The typed contract of the addon. Nothing here computes; see native/node for the other side.
 *
 * Dimensions cross the border as numbers: n >= 0 is a size, -k stands for k times the batch size N.
 */
import { ChainruleError } from './errors.js';
import { loadAddon } from './native-loader.js';

/**
 * int8 is what quantized weights are stored in; nothing else is computed with it. bfloat16, the upper half of a float32,
 * is for storage, too: it is widened where it is computed with, and its numbers stand in Float32Arrays at the border.
 */
export type DType = 'float32' | 'int32' | 'uint8' | 'bool' | 'uint32' | 'int8' | 'bfloat16';
export type NativeArray = Float32Array | Int32Array | Uint8Array | Uint32Array | Int8Array;
export type AttrValue = number | string | boolean | readonly number[];
/** Bytes of one array for a run: its data and its concrete shape. */
export interface Bound {
  data: NativeArray;
  shape: readonly number[];
}

/** Storage of one weight, moving statistic, optimizer slot, counter or seed: native and reference-counted. */
export interface NativeVariable {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Copies the value out, in row-major order, at the next step boundary. */
  read(): Promise<NativeArray>;
  /** Replaces the value (row-major) at the next step boundary. */
  write(data: NativeArray): Promise<void>;
  /** As write, on the calling thread: for variables that no program uses yet. Throws BUSY while a step runs. */
  writeSync(data: NativeArray): void;
  readSync(): NativeArray;
  /** Leaves the memory that it shares with others, so that theirs can be freed. */
  compact(): Promise<void>;
  /** A process-wide number with which another worker attaches to the same storage; valid while one handle is alive. */
  share(): number;
}

export interface NativeGraph {
  /** shape[0] may be -1 (= N). */
  input(name: string, dtype: DType, shape: readonly number[]): number;
  constant(data: NativeArray, dtype: DType, shape: readonly number[]): number;
  scalar(value: number, dtype: DType): number;
  /** Appends a node; returns the ids of its parts. Throws ChainruleError with both shapes when the inputs don't fit. */
  op(name: string, inputs: readonly number[], attrs?: Record<string, AttrValue>): number[];
  dtype(value: number): DType;
  shape(value: number): number[];
  /** The variable's current value in program order. */
  read(variable: NativeVariable): number;
  update(variable: NativeVariable, value: number): void;
  /**
   * Groups lay variables out one after the other, so that an optimizer's formula runs once over all of them.
   * readGroup gives the flat current value, packGroup makes a flat value of per-variable values (gradients) in the same
   * layout, updateGroup replaces all members. Equal lists of variables give the same group.
   */
  readGroup(variables: readonly NativeVariable[]): number;
  packGroup(variables: readonly NativeVariable[], values: readonly number[]): number;
  updateGroup(variables: readonly NativeVariable[], value: number): void;
  /** Gradients of a scalar (or of any value, weighted by seed) towards values; -1 where unconnected. */
  gradients(output: number, wrt: readonly number[], seed?: number): number[];
  /** Name of the layer being traced, kept in nodes for messages and print-outs. */
  setScope(scope: string): void;
  /** Nodes appended from now on belong to a segment whose values gradients compute again; 0: to none. */
  setSegment(segment: number): void;
  /** The nodes of a segment belong to none. */
  dissolveSegment(segment: number): void;
  /** Bytes that a plan may take beside variables, inputs and outputs: gradients compute as much again as that asks for. */
  setMemoryBudget(bytes: number): void;
  /** Finishes the graph (no op may follow) and compiles it on the executor thread. */
  /** device: 'cpu' (the default), or as lib/devices.ts says. Throws ERR_CHAINRULE_DEVICE where it is not there. */
  compile(outputs: readonly number[], device?: string): Promise<NativeProgram>;
  compileSync(outputs: readonly number[], device?: string): NativeProgram;
  describe(): string;
  toJSON(): string;
}

export interface EpochOptions {
  batchSize: number;
  /** Rows [begin, end) of the dataset take part. */
  begin: number;
  end: number;
  /** Order of the rows: a permutation drawn from (seed, epoch), or none. */
  shuffle: boolean;
  seed: number;
  epoch: number;
  /** Steps [firstStep, firstStep + steps) of the epoch; the last may be a smaller batch. */
  firstStep: number;
  steps: number;
  /** Collect the program's outputs over all steps, concatenated on axis 0 (predict). */
  collect?: boolean;
  /** More epochs of this dataset follow: a device keeps it where it fits into a quarter of its memory. */
  again?: boolean;
  /** Called with the number of finished steps, at most every 50 ms. */
  onProgress?: (stepsDone: number) => void;
  /** AbortSignal is wired in TypeScript: it calls job.cancel(). */
}

export interface NativeJob<T> {
  promise: Promise<T>;
  /** Stops at the next step boundary; the promise rejects with ERR_CHAINRULE_ABORTED. */
  cancel(): void;
}

export interface NativeProgram {
  readonly inputNames: readonly string[];
  /** Where it runs: 'cpu' or the id of a device. */
  readonly device: string;
  run(inputs: readonly Bound[], options?: { rowOffset?: number; checkFinite?: boolean }): NativeJob<Bound[]>;
  /** Runs on the calling thread. One input and one output may be given as plain arrays for the least overhead. */
  runSync(inputs: readonly Bound[], options?: { rowOffset?: number; checkFinite?: boolean }): Bound[];
  /** One row of the only input; writes the only output. Throws BUSY while a step over 1 ms runs. */
  runRowSync(row: Float32Array, out: Float32Array): void;
  epoch(dataset: NativeDataset, options: EpochOptions): NativeJob<{ steps: number; outputs: Bound[] }>;
  /** Makes plans for these batch sizes. */
  prepare(batchSizes: readonly number[]): Promise<void>;
  describe(batchSize?: number): string;
  /** Times every step of the plan, beside what the machine could do. */
  profile(
    inputs: readonly Bound[],
    options: { repeats: number; floor: { gflops: number; streamGBs: number } },
  ): Promise<string>;
  /** Plans made so far, for tests that later epochs make none. */
  counters(): { plans: number };
}

export interface NativeDataset {
  readonly rows: number;
  /** First element that is NaN or infinite (float columns), or outside [low, high); -1 when all are fine. Off-thread. */
  firstBad(column: number, check: { finite?: boolean; low?: number; high?: number }): Promise<number>;
  /** Gives the memory back now, not when V8 collects; jobs that run keep it until they end. Not to be used afterwards. */
  release(): void;
}

/** Strings in a row, with the rows that they make up: `rowSize` each (default 1), or ending where `rowEnds` says. */
export interface NativeText {
  bytes: Uint8Array;
  /** One more than there are strings. */
  offsets: Int32Array;
  rowSize?: number;
  rowEnds?: Int32Array;
}
/** Integers that are looked up by their decimal digits. */
export interface NativeIntegers {
  numbers: Float64Array;
  rowSize?: number;
}
export type NativeTextSource = NativeText | NativeIntegers;

/** From texts to tokens. */
export interface TokenSteps {
  /** ASCII letters. */
  lower?: boolean;
  stripPunctuation?: boolean;
  split?: 'whitespace' | 'character' | undefined;
  /** Widths, in the order of the result. */
  ngrams?: readonly number[] | undefined;
}

/** Which id a token gets, and what becomes of the ids of a row. */
export interface EncodeOptions extends TokenSteps {
  /** Id of the vocabulary's first token. */
  firstToken: number;
  /** Ids for what is out of vocabulary: [firstBucket, firstBucket + buckets). */
  firstBucket: number;
  buckets: number;
  mask?: string | undefined;
  maskId?: number;
  /** Buckets of integers by their remainder, not by hash. */
  modulo?: boolean;
  salt?: readonly [number, number] | undefined;
  form: 'ids' | 'padded' | 'multiHot' | 'count' | 'oneHot';
  /** padded: ids per row, -1 for the longest row; vectors: their length. */
  size?: number;
  /** Factors of a vector's elements. */
  weights?: Float32Array | undefined;
}

/** int32 for ids and padded, float32 for vectors; `width` numbers make up a row (for oneHot, a token). */
export interface Encoded {
  data: Int32Array | Float32Array;
  width: number;
}

export interface NativeVocabulary {
  encode(source: NativeTextSource, options: EncodeOptions): Promise<Encoded>;
  encodeSync(source: NativeTextSource, options: EncodeOptions): Encoded;
}

export interface NativeTokenCounter {
  /** Counts tokens, and rows as documents that hold them. */
  add(source: NativeTextSource, steps: TokenSteps): Promise<void>;
  /** The most frequent tokens (limit -1: all), ties by the token downwards: by its bytes, or its number. */
  ranking(
    limit: number,
    without: readonly string[],
    integers: boolean,
  ): Promise<{ bytes: Uint8Array; offsets: Int32Array; documents: Int32Array; documentCount: number }>;
}

export interface NativeInfo {
  version: string;
  sources: string;
  compiler: string;
  isa: string;
  isaAvailable: string[];
  threads: number;
  threadsReason: string;
  memory: { liveBytes: number; allocations: number };
}

export interface DeviceInfo {
  /** The name to give as device: 'cuda:0'. */
  id: string;
  name: string;
  computeCapability: string;
  /** All of it. */
  memoryBytes: number;
  /** What is free for all processes, where the driver says so. */
  freeBytes?: number;
  /** What weights, plans and data of this process take there. This and the rest: only of a device that this process uses. */
  usedBytes?: number;
  /** The same with what is kept for the next allocations, for as long as there is work. */
  heldBytes?: number;
  /** What this process may take: see setDeviceMemoryLimit. */
  limitBytes?: number;
  multiprocessors: number;
  /** What the driver supports. */
  driver: string;
}
/** `reason` says in one line why there are none. */
export interface DeviceList {
  devices: DeviceInfo[];
  reason: string;
}

export interface NativeAddon {
  info(): NativeInfo;
  Graph: new () => NativeGraph;
  Variable: {
    new (name: string, dtype: DType, shape: readonly number[], fill?: number): NativeVariable;
    attach(token: number): NativeVariable;
  };
  /** Columns share their first dimension (rows). Arrays are copied when `copy` is true, else pinned: don't write to them. */
  Dataset: new (
    columns: readonly Bound[],
    copy: boolean,
  ) => NativeDataset;
  Vocabulary: new (tokens: NativeText) => NativeVocabulary;
  TokenCounter: new () => NativeTokenCounter;
  standardizeText(source: NativeText, steps: TokenSteps): Promise<{ bytes: Uint8Array; offsets: Int32Array }>;
  standardizeTextSync(source: NativeText, steps: TokenSteps): { bytes: Uint8Array; offsets: Int32Array };
  /** The bin of each combination of features. */
  crossHash(features: readonly NativeTextSource[], bins: number): Promise<Int32Array>;
  crossHashSync(features: readonly NativeTextSource[], bins: number): Int32Array;
  /** The class that native errors are made of: called as new Class(code, message). */
  setErrorClass(errorClass: new (code: never, message: string) => Error): void;
  configure(options: {
    threads?: number;
    parallelThreshold?: number;
    deviceLibrary?: string;
    matmulPrecision?: 'high' | 'highest';
    convAlgorithm?: 'auto' | 'direct' | 'winograd';
    /** Path of the file of measured choices; '' for none. */
    autotune?: string;
    /** Bytes, below 1 a share, 0 for none; of the device named, 'cuda' for the first, '' for each that nobody names. */
    memoryLimit?: number;
    memoryLimitDevice?: string;
  }): void;
  /** Looks for GPUs, once. */
  devices(): Promise<DeviceList>;
  devicesSync(): DeviceList;
  /** Unused memory of all devices in use goes back to their drivers. */
  releaseDeviceMemory(): Promise<void>;
  /** Libraries of the maker of the first GPU, by name: version and place of what is used, or why it is not. Opens the GPU. */
  deviceLibraries(): Promise<Record<string, string>>;
  /** What the machine can do at most with so many threads, measured now (about half a second, off the main thread). */
  measureFloor(threads: number): Promise<{ gflops: number; streamGBs: number; cacheGBs: number }>;
  /** Names of all ops, for the completeness test. */
  opNames(): string[];
  /** The elementwise table: name, operands, whether it has a gradient. */
  elementwiseOps(): { name: string; arity: number; differentiable: boolean }[];
}

const loaded = loadAddon();

export const native = loaded.addon as NativeAddon;
native.setErrorClass(ChainruleError);
/** Which file was loaded and why, for `chainrule info`. */
export const nativeOrigin = { path: loaded.path, reason: loaded.reason };

// Errors of the engine are the library's own, wherever they arise.
native.setErrorClass(ChainruleError as never);
