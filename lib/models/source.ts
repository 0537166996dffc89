import { checkFinite, checkRange, type RangeCheck } from '../data/checks.js';
import { type BatchParts, type DataInput, type Table, type TableOptions, toTable } from '../data/columns.js';
import { Dataset } from '../data/dataset.js';
import { ChainruleError } from '../errors.js';
import type { NativeDataset } from '../native.js';
import type { Model } from './model.js';

export interface SourceOptions {
  sampleWeight?: DataInput;
  batchSize?: number;
  shuffle?: boolean;
  seed?: number;
  allowNonFinite?: boolean;
}

/** Where batches come from: a native table of rows, or a stream that JavaScript feeds. */
export type Source = TableSource | StreamSource;

export class TableSource {
  readonly kind = 'table';
  #native: NativeDataset | undefined;
  private readonly checked = new Set<string>();

  constructor(
    readonly table: Table,
    readonly begin: number,
    readonly end: number,
    readonly batchSize: number,
    readonly shuffle: boolean,
    readonly allowNonFinite: boolean,
    native?: NativeDataset,
    readonly seed?: number,
  ) {
    this.#native = native;
  }

  /** Copies up to a megabyte, so it is made when something asks for it: a prediction of one batch never does. */
  get native(): NativeDataset {
    return (this.#native ??= this.table.toNative());
  }

  /** Gives a copy back to the next call, whose own would else be made of fresh pages. */
  release(): void {
    this.#native?.release();
    this.#native = undefined;
  }

  get rows(): number {
    return this.end - this.begin;
  }

  get steps(): number {
    return Math.ceil(this.rows / this.batchSize);
  }

  /** Rows [begin, end) of the same data. */
  part(begin: number, end: number, shuffle: boolean): TableSource {
    return new TableSource(
      this.table,
      begin,
      end,
      this.batchSize,
      shuffle,
      this.allowNonFinite,
      this.native,
      this.seed,
    );
  }

  /** Looks for NaN, wrong labels and ids, off the main thread, once per kind of check. */
  async check(checks: readonly RangeCheck[]): Promise<void> {
    if (!this.allowNonFinite && !this.checked.has('finite')) await checkFinite(this.native, this.table);
    this.checked.add('finite');
    for (const check of checks) {
      const key = `${check.column}:${check.limit}`;
      if (!this.checked.has(key)) await checkRange(this.native, this.table, check);
      this.checked.add(key);
    }
  }
}

export class StreamSource {
  readonly kind = 'stream';

  release(): void {}

  constructor(
    private readonly dataset: Dataset,
    private readonly model: Model,
    readonly allowNonFinite: boolean,
  ) {}

  get steps(): number | undefined {
    return this.dataset.batches;
  }

  get passes(): number {
    return this.dataset.passes;
  }

  set passes(count: number) {
    this.dataset.passes = count;
  }

  /** Batches as tables, one pass. */
  async *batches(): AsyncGenerator<Table> {
    for await (const batch of this.dataset) {
      this.model.buildFor(batch.x);
      yield await toTable(batch, tableOptions(this.model, this.allowNonFinite));
    }
  }
}

/** How data become a table for a model. */
export function tableOptions(model: Model, allowNonFinite: boolean | undefined): TableOptions {
  return { allowNonFinite, inputs: model.inputStructure, outputs: model.outputs.length, front: model.front };
}

/** A source from what fit, evaluate and predict accept. */
export async function toSource(
  model: Model,
  x: DataInput | Dataset,
  y: unknown,
  options: SourceOptions,
): Promise<Source> {
  const batchSize = checkBatchSize(options.batchSize ?? model.fixedBatch);
  const allowNonFinite = options.allowNonFinite ?? false;
  model.buildFor(x);
  if (x instanceof Dataset) {
    const plan = x.plan();
    if (!plan) return new StreamSource(x, model, allowNonFinite);
    model.buildFor(plan.data.x);
    const table = await toTable(plan.data, tableOptions(model, allowNonFinite));
    return new TableSource(
      table,
      0,
      Math.min(plan.take ?? table.rows, table.rows),
      plan.batchSize ?? batchSize,
      plan.shuffle,
      allowNonFinite,
      undefined,
      plan.seed,
    );
  }
  const data = { x, y, sampleWeight: options.sampleWeight } as BatchParts;
  const table = await toTable(data, tableOptions(model, allowNonFinite));
  if (model.fixedBatch) checkFixedBatch(model, batchSize, table.rows);
  return new TableSource(table, 0, table.rows, batchSize, options.shuffle ?? false, allowNonFinite);
}

/** A model whose inputs fix the batch size takes whole batches of it only. */
function checkFixedBatch(model: Model, batchSize: number, rows: number): void {
  const fixed = model.fixedBatch!;
  if (batchSize === fixed && rows % fixed === 0) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `model "${model.name}" has a fixed batch size of ${fixed}, but got ${rows} rows in batches of ${batchSize}. Use batchSize: ${fixed} and a multiple of it in rows.`,
    { details: { expected: fixed, batchSize, rows } },
  );
}

export function checkBatchSize(batchSize: number | undefined): number {
  if (batchSize === undefined) return 32;
  if (Number.isInteger(batchSize) && batchSize > 0) return batchSize;
  throw new ChainruleError('ERR_CHAINRULE_OPTION', `batchSize must be an integer >= 1, got ${String(batchSize)}.`, {
    details: { batchSize },
  });
}
