import { ChainruleError, checkOptions } from '../errors.js';
import type { DType } from '../native.js';
import { type AnyArray, type ArrayInput, allocate, NDArray, shapeText, sizeOf } from '../ndarray.js';
import { fromNested } from '../nested.js';
import { Dataset } from './dataset.js';

export interface PadOptions {
  /** Elements of every row of the result. Default: of the longest sequence. */
  maxlen?: number;
  /** Default 'int32'. */
  dtype?: DType;
  /** On which side what is missing is filled. Default 'pre'. */
  padding?: 'pre' | 'post';
  /** On which side what is too much is cut. Default 'pre'. */
  truncating?: 'pre' | 'post';
  /** What fills the gaps. Default 0. */
  value?: number;
}

/** Sequences of different lengths as rows of one (https://keras.io/api/data_loading/timeseries/#pad_sequences-function). */
export function padSequences(sequences: readonly ArrayInput[], options: PadOptions = {}): AnyArray {
  checkOptions('padSequences', options, ['maxlen', 'dtype', 'padding', 'truncating', 'value']);
  if (!Array.isArray(sequences))
    throw new ChainruleError('ERR_CHAINRULE_INPUT', 'padSequences: a list of sequences is expected.');
  const { dtype = 'int32', padding = 'pre', truncating = 'pre', value = 0 } = options;
  for (const [name, side] of Object.entries({ padding, truncating }))
    if (side !== 'pre' && side !== 'post')
      throw new ChainruleError('ERR_CHAINRULE_OPTION', `padSequences: ${name} is "pre" or "post", got "${side}".`);
  const rows = sequences.map((sequence, i) => {
    const row = fromNested(sequence as ArrayInput, { name: `padSequences: sequence ${i}`, dtype });
    if (row.rank > 0) return row;
    throw new ChainruleError('ERR_CHAINRULE_INPUT', `padSequences: sequence ${i} is a single number, not a sequence.`);
  });
  const sample = rows.find((row) => row.size > 0)?.shape.slice(1) ?? [];
  const width = sizeOf(sample);
  const maxlen = options.maxlen ?? Math.max(0, ...rows.map((row) => row.shape[0]!));
  if (!Number.isInteger(maxlen) || maxlen < 0)
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `padSequences: maxlen must be an integer >= 0, got ${maxlen}.`);
  const result = allocate(dtype, rows.length * maxlen * width).fill(value);
  for (const [i, row] of rows.entries()) {
    if (row.size === 0) continue;
    if (row.shape.slice(1).join() !== sample.join())
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `padSequences: an element of sequence ${i} has shape ${shapeText(row.shape.slice(1))}, those before it ${shapeText(sample)}.`,
      );
    const length = row.shape[0]!;
    const kept = Math.min(length, maxlen);
    const from = truncating === 'pre' ? length - kept : 0;
    const to = padding === 'pre' ? maxlen - kept : 0;
    result.set(row.data.subarray(from * width, (from + kept) * width), (i * maxlen + to) * width);
  }
  return new NDArray(result, [rows.length, maxlen, ...sample], dtype) as AnyArray;
}

export interface TimeseriesOptions {
  /** Elements of a window. */
  sequenceLength: number;
  /** Steps from a window to the next. Default 1. */
  sequenceStride?: number;
  /** Steps from an element of a window to the next. Default 1. */
  samplingRate?: number;
  /** Windows of a batch; null: single windows. Default 128. */
  batchSize?: number | null;
  /** Default false. */
  shuffle?: boolean;
  seed?: number;
  /** Steps before this one are not used. */
  startIndex?: number;
  /** Nor are those from this one on. */
  endIndex?: number;
}

/**
 * Windows over a series [steps, …], each with the target at the index of its first step
 * (https://keras.io/api/data_loading/timeseries/#timeseries_dataset_from_array-function). The windows are laid out in
 * memory.
 */
export function timeseriesDatasetFromArray(
  data: ArrayInput,
  targets: ArrayInput | null | undefined,
  options: TimeseriesOptions,
): Dataset {
  const where = 'timeseriesDatasetFromArray';
  const known = ['sequenceLength', 'sequenceStride', 'samplingRate', 'batchSize', 'shuffle', 'seed'];
  checkOptions(where, options, [...known, 'startIndex', 'endIndex']);
  const series = fromNested(data, { name: `${where}: data` });
  const steps = series.shape[0] ?? 0;
  const { sequenceLength: length, sequenceStride: stride = 1, samplingRate: rate = 1, batchSize = 128 } = options;
  const integer = (name: string, value: number, least: number, below: number): void => {
    if (Number.isInteger(value) && value >= least && value < below) return;
    const range = below === Number.POSITIVE_INFINITY ? `at least ${least}` : `from ${least} to ${below - 1}`;
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: ${name} must be an integer ${range}, got ${value}.`);
  };
  integer('sequenceLength', length, 1, Number.POSITIVE_INFINITY);
  integer('sequenceStride', stride, 1, steps);
  integer('samplingRate', rate, 1, steps);
  const { startIndex: begin = 0, endIndex: end = steps } = options;
  integer('startIndex', begin, 0, steps);
  integer('endIndex', end, begin + 1, steps + 1);
  const answers =
    targets === null || targets === undefined ? undefined : fromNested(targets, { name: `${where}: targets` });
  const possible = Math.min(end - begin - (length - 1) * rate, answers?.shape[0] ?? Number.POSITIVE_INFINITY);
  const count = Math.max(0, Math.ceil(possible / stride));
  if (count === 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${where}: a window of ${length} elements, ${rate} steps apart, does not fit into ${end - begin} steps.`,
    );
  const width = sizeOf(series.shape.slice(1));
  const windows = allocate(series.dtype, count * length * width);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < length; k++) {
      const step = begin + i * stride + k * rate;
      windows.set(series.data.subarray(step * width, (step + 1) * width), (i * length + k) * width);
    }
  }
  const x = new NDArray(windows, [count, length, ...series.shape.slice(1)], series.dtype);
  const y = answers && everyRow(answers, begin, stride, count);
  let dataset = Dataset.from({ x, ...(y && { y }) });
  if (options.shuffle) dataset = dataset.shuffle(options.seed === undefined ? {} : { seed: options.seed });
  return batchSize === null ? dataset : dataset.batch(batchSize);
}

function everyRow(array: AnyArray, begin: number, stride: number, count: number): AnyArray {
  const width = sizeOf(array.shape.slice(1));
  const rows = allocate(array.dtype, count * width);
  for (let i = 0; i < count; i++) {
    const row = begin + i * stride;
    rows.set(array.data.subarray(row * width, (row + 1) * width), i * width);
  }
  return new NDArray(rows, [count, ...array.shape.slice(1)], array.dtype) as AnyArray;
}
