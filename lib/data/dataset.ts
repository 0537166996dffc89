import { ChainruleError, shown } from '../errors.js';
import { nextSeed } from '../graph/seed.js';
import { flatten, pack } from '../graph/structure.js';
import { type ArrayInput, isArrayInput, NDArray } from '../ndarray.js';
import { fromNested, fromNestedAsync } from '../nested.js';
import { checkRules, flag, integer } from '../rules.js';
import { isStringInput, StringArray } from '../strings.js';
import { type BatchParts, type Table, toTable } from './columns.js';
import { permutation } from './permutation.js';

/** One element of a stream: x, y and weights by name, or as [x, y] or [x, y, sampleWeight]. */
export type DatasetElement = BatchParts | readonly unknown[];
export type DatasetSource =
  | BatchParts
  | AsyncIterable<DatasetElement>
  | Iterable<DatasetElement>
  | (() => AsyncIterable<DatasetElement> | Iterable<DatasetElement>);

type Stage =
  | { kind: 'shuffle'; bufferSize: number; seed: number }
  | { kind: 'batch'; size: number; dropRemainder: boolean }
  | { kind: 'map'; fn: (element: BatchParts) => unknown }
  | { kind: 'take'; count: number };

/** What native code can do by itself with data in memory. */
export interface DatasetPlan {
  data: BatchParts;
  shuffle: boolean;
  seed: number | undefined;
  batchSize: number | undefined;
  take: number | undefined;
}

/**
 * Samples as a sequence: arrays in memory or a stream, with shuffle, batch, map and take behind one another. Each step
 * gives a new Dataset. Arrays that are only shuffled and batched stay in native code.
 */
export class Dataset implements AsyncIterable<BatchParts> {
  /** Passes begun so far: each shuffles anew. @internal */
  passes = 0;

  private constructor(
    private readonly source: DatasetSource,
    private readonly stages: readonly Stage[],
  ) {}

  /** From `{ x, y, sampleWeight }` arrays, an (async) iterable of samples or batches, or a function that gives one for each pass. */
  static from(source: DatasetSource): Dataset {
    const usable =
      typeof source === 'function' ||
      isIterable(source) ||
      (typeof source === 'object' && source !== null && 'x' in source);
    if (!usable)
      throw new ChainruleError(
        'ERR_CHAINRULE_INPUT',
        'Dataset.from: expected { x, y } arrays, an iterable of { x, y } or [x, y], or a function that gives one.',
      );
    return new Dataset(source, []);
  }

  /** Mixes the order anew at each pass; streams are mixed within a buffer of `bufferSize` elements. */
  shuffle(options: { bufferSize?: number; seed?: number } = {}): Dataset {
    checkRules('Dataset.shuffle', options, { bufferSize: integer(1), seed: integer() });
    const { bufferSize = 1024, seed = nextSeed() } = options;
    return this.with({ kind: 'shuffle', bufferSize, seed });
  }

  /** Groups samples; the last batch may be smaller. */
  batch(size: number, options: { dropRemainder?: boolean } = {}): Dataset {
    checkRules('Dataset.batch', options, { dropRemainder: flag });
    const { dropRemainder = false } = options;
    return this.with({ kind: 'batch', size: positive('batch', 'size', size), dropRemainder });
  }

  /** Changes each element (a sample, or a batch after batch()); the function may be async. */
  map(fn: (element: BatchParts) => DatasetElement | Promise<DatasetElement>): Dataset {
    if (typeof fn !== 'function')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `Dataset.map: a function of an element is expected, got ${shown(fn)}.`,
      );
    return this.with({ kind: 'map', fn });
  }

  /** Ends after `count` elements. */
  take(count: number): Dataset {
    return this.with({ kind: 'take', count: positive('take', 'count', count) });
  }

  /** @internal */
  plan(): DatasetPlan | undefined {
    if (!this.inMemory) return undefined;
    const plan: DatasetPlan = {
      data: this.source as BatchParts,
      shuffle: false,
      seed: undefined,
      batchSize: undefined,
      take: undefined,
    };
    for (const stage of this.stages) {
      if (plan.batchSize !== undefined) return undefined;
      if (stage.kind === 'shuffle') Object.assign(plan, { shuffle: true, seed: stage.seed });
      else if (stage.kind === 'batch' && !stage.dropRemainder) plan.batchSize = stage.size;
      else if (stage.kind === 'take' && !plan.shuffle) plan.take = Math.min(stage.count, plan.take ?? stage.count);
      else return undefined;
    }
    return plan;
  }

  /** Number of batches of a pass, where it is known. @internal */
  get batches(): number | undefined {
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BatchParts> {
    const pass = this.passes++;
    let stream = this.elements();
    for (const stage of this.stages) stream = apply(stage, stream, pass);
    yield* stream;
  }

  private get inMemory(): boolean {
    return typeof this.source === 'object' && !isIterable(this.source);
  }

  private with(stage: Stage): Dataset {
    return new Dataset(this.source, [...this.stages, stage]);
  }

  private async *elements(): AsyncGenerator<BatchParts> {
    const source = typeof this.source === 'function' ? this.source() : this.source;
    if (isIterable(source)) {
      for await (const element of source) yield toParts(element);
      return;
    }
    const leaves = flatten(source, isArrayInput);
    if (leaves.some(({ item }) => isStringInput(item))) {
      yield* rowsOf(source, leaves);
      return;
    }
    const table: Table = await toTable(source as BatchParts, { allowNonFinite: true });
    for (let row = 0; row < table.rows; row++) {
      yield table.fill(
        table.arrays.map((array) => array.rows(row, row + 1).reshape(array.shape.slice(1))),
      ) as BatchParts;
    }
  }
}

/** The rows of arrays some of which hold strings. */
async function* rowsOf(
  source: unknown,
  leaves: readonly { item: unknown; path: string }[],
): AsyncGenerator<BatchParts> {
  const columns = await Promise.all(
    leaves.map(({ item, path }) =>
      isStringInput(item)
        ? item instanceof StringArray
          ? (item.toNested() as unknown[])
          : (item as unknown[])
        : fromNestedAsync(item as ArrayInput, { name: path, allowNonFinite: true }),
    ),
  );
  const counts = columns.map((column) => (column instanceof NDArray ? column.shape[0] : column.length));
  const wrong = counts.findIndex((count) => count !== counts[0]);
  if (wrong >= 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `${leaves[0]!.path} has ${counts[0]} rows but ${leaves[wrong]!.path} has ${counts[wrong]}; every array needs one row per sample.`,
    );
  for (let row = 0; row < counts[0]!; row++) {
    const cells = columns.map((column) =>
      column instanceof NDArray ? column.rows(row, row + 1).reshape(column.shape.slice(1)) : column[row],
    );
    yield pack(source, cells, isArrayInput) as BatchParts;
  }
}

async function* apply(stage: Stage, stream: AsyncGenerator<BatchParts>, pass: number): AsyncGenerator<BatchParts> {
  if (stage.kind === 'map') {
    for await (const element of stream) yield toParts((await stage.fn(element)) as DatasetElement);
  } else if (stage.kind === 'take') {
    let left = stage.count;
    for await (const element of stream) {
      yield element;
      if (--left === 0) return;
    }
  } else if (stage.kind === 'batch') {
    let group: BatchParts[] = [];
    for await (const element of stream) {
      group.push(element);
      if (group.length < stage.size) continue;
      yield stack(group);
      group = [];
    }
    if (group.length > 0 && !stage.dropRemainder) yield stack(group);
  } else {
    yield* shuffled(stream, stage.bufferSize, stage.seed, pass);
  }
}

async function* shuffled(
  stream: AsyncGenerator<BatchParts>,
  size: number,
  seed: number,
  pass: number,
): AsyncGenerator<BatchParts> {
  let buffer: BatchParts[] = [];
  let block = 0;
  const drain = (): BatchParts[] => {
    const order = permutation(buffer.length, seed, pass, block++);
    const mixed = order.map((i) => buffer[i]!);
    buffer = [];
    return mixed;
  };
  for await (const element of stream) {
    buffer.push(element);
    if (buffer.length >= size) yield* drain();
  }
  yield* drain();
}

/** Samples side by side on a new first axis. */
function stack(samples: readonly BatchParts[]): BatchParts {
  const leaves = samples.map((sample) =>
    flatten(sample, isArrayInput).map(({ item, path }) =>
      isArrayInput(item) && !isStringInput(item) ? fromNested(item, { name: path, allowNonFinite: true }) : item,
    ),
  );
  const columns = leaves[0]!.map((first, i) => {
    if (isStringInput(first)) return leaves.map((leaf) => leaf[i]);
    if (!(first instanceof NDArray)) return first;
    const data = new (first.data.constructor as new (size: number) => NDArray['data'])(first.size * samples.length);
    leaves.forEach((leaf, row) => {
      const array = leaf[i] as NDArray;
      if (array.size !== first.size) {
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `Dataset.batch: sample ${row} of a batch has shape [${array.shape.join(', ')}], the first has [${first.shape.join(', ')}]; samples of a batch need one shape.`,
        );
      }
      data.set(array.data, row * first.size);
    });
    return new NDArray(data, [samples.length, ...first.shape], first.dtype);
  });
  return pack(samples[0], columns, isArrayInput) as BatchParts;
}

function toParts(element: DatasetElement): BatchParts {
  if (Array.isArray(element)) {
    const [x, y, sampleWeight] = element as unknown[];
    return { x, ...(y !== undefined && { y }), ...(sampleWeight !== undefined && { sampleWeight }) };
  }
  if (typeof element === 'object' && element !== null && 'x' in element) return element as BatchParts;
  throw new ChainruleError('ERR_CHAINRULE_INPUT', 'Dataset: an element must be { x, y } or [x, y].');
}

function isIterable(value: unknown): value is AsyncIterable<DatasetElement> | Iterable<DatasetElement> {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

function positive(method: string, name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `Dataset.${method}: ${name} must be an integer >= 1, got ${shown(value)}.`,
  );
}
