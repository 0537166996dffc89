import { checkInt32, narrows } from '../data/checks.js';
import { byInputs, type DataInput, fitRanks, hostColumns, inputLeaves, Table, toTable } from '../data/columns.js';
import type { Dataset } from '../data/dataset.js';
import { ChainruleError } from '../errors.js';
import { Executable } from '../graph/executable.js';
import { hasOpenAxis } from '../graph/open_axes.js';
import { flatten, mapStructure, pack } from '../graph/structure.js';
import { isTensor, type Tensor } from '../graph/tensor.js';
import { atOnce } from '../layers/text/work.js';
import type { NativeProgram } from '../native.js';
import { type AnyArray, allocate, isArrayInput, NDArray, shapeText, sizeOf } from '../ndarray.js';
import { fromNested } from '../nested.js';
import { cast } from '../ops/operands.js';
import { checkRules, flag, integer, signal, verbosity } from '../rules.js';
import type { HostFront } from './front.js';
import type { Model } from './model.js';
import { buildPredict, describePredict, type PredictProgram, type ProgramCache } from './programs.js';
import { checkBatchSize, type TableSource, toSource } from './source.js';

export interface PredictOptions {
  /** Rows per step. Default 32. */
  batchSize?: number;
  /** Accept NaN and Infinity in the data (default false). */
  allowNonFinite?: boolean;
  /** Nothing is printed; accepted for Keras's habit. */
  verbose?: 0 | 1 | 2 | 'auto';
  signal?: AbortSignal;
}

export const predictRules = { batchSize: integer(1), allowNonFinite: flag, verbose: verbosity, signal };

async function predictTable(
  model: Model,
  { executable, result, outputs }: PredictProgram,
  source: TableSource,
  { allowNonFinite, signal }: PredictOptions,
): Promise<unknown> {
  const { table, rows, batchSize } = source;
  checkRows(model, outputs);
  if (rows <= batchSize && rows === table.rows)
    return pack(result, await executable.run(table.arrays, { checkFinite: !allowNonFinite, signal }));
  await source.check([]);
  if (model.fixedBatch) {
    const parts: NDArray[][] = [];
    for (let row = 0; row < rows; row += batchSize)
      parts.push(await executable.run(table.slice(row, row + batchSize).arrays, { rowOffset: row, signal }));
    return pack(result, joinParts(parts));
  }
  const epoch = {
    batchSize,
    begin: 0,
    end: rows,
    shuffle: false,
    seed: 0,
    epoch: 0,
    firstStep: 0,
    steps: source.steps,
    collect: true,
  };
  return pack(result, (await executable.epoch(source.native, epoch, signal)).outputs);
}

/** The outputs for all rows, in the structure of the model's outputs. */
export async function predict(
  model: Model,
  programs: ProgramCache<PredictProgram>,
  x: DataInput | Dataset,
  options: PredictOptions,
): Promise<unknown> {
  checkRules('predict', options, predictRules);
  model.buildFor(x);
  options.signal?.throwIfAborted();
  const source = await toSource(model, x, undefined, options);
  const program = (table: Table): Promise<PredictProgram> =>
    programs.get(table.signature, () => buildPredict(model, table));
  if (source.kind === 'table')
    return predictTable(model, await program(source.table), source, options).finally(() => source.release());
  const parts: NDArray[][] = [];
  let result: unknown;
  let row = 0;
  for await (const table of source.batches()) {
    const found = await program(table);
    result = found.result;
    parts.push(
      await found.executable.run(table.arrays, {
        rowOffset: row,
        checkFinite: !options.allowNonFinite,
        signal: options.signal,
      }),
    );
    row += table.rows;
  }
  if (parts.length === 0) throw new ChainruleError('ERR_CHAINRULE_INPUT', 'predict: the data gave no batch.');
  return pack(result, joinParts(parts));
}

function checkRows(model: Model, outputs: readonly Tensor[]): void {
  for (const output of outputs) {
    if (output.dims[0] !== undefined && (output.dims[0] < 0 || output.dims[0] === model.fixedBatch)) continue;
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `predict: an output of model "${model.name}" has shape ${shapeText(output.shape)}, without the batch on axis 0; outputs need one row per sample.`,
    );
  }
}

const joinParts = (parts: readonly NDArray[][]): NDArray[] =>
  parts[0]!.map((_, i) => joinRows(parts.map((part) => part[i]!)));

function joinRows(parts: readonly NDArray[]): NDArray {
  const first = parts[0]!;
  const other = parts.find((part) => shapeText(part.shape.slice(1)) !== shapeText(first.shape.slice(1)));
  if (other)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `predict: batches gave rows of different shapes, ${shapeText([null, ...first.shape.slice(1)])} and ${shapeText([null, ...other.shape.slice(1)])}, which make no array. Predict batch by batch.`,
    );
  const rows = parts.reduce((total, part) => total + part.shape[0]!, 0);
  const data = allocate(first.dtype, rows * sizeOf(first.shape.slice(1)));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.size;
  }
  return new NDArray(data, [rows, ...first.shape.slice(1)], first.dtype) as AnyArray as NDArray;
}

interface RowProgram {
  program: NativeProgram;
  inputSize: number;
  outputSize: number;
  /** The input, where it does not hold all that a row of floats may. */
  narrow: Tensor | undefined;
}

/** predictSync: programs compiled on the calling thread at first use. */
export class RowPredictor {
  private row: RowProgram | undefined;
  private readonly synchronous = new Map<string, { executable: Executable; result: unknown }>();

  constructor(private readonly model: Model) {}

  /** One row in, one row out: nothing here but the native call, once it is prepared. */
  predict(row: Float32Array, out?: Float32Array): Float32Array {
    const ready = (this.row ??= this.prepare());
    if (row.length !== ready.inputSize) throw this.wrongSize('row', row.length, ready.inputSize);
    if (ready.narrow) checkInt32('row', new NDArray(row, [1, row.length]), ready.narrow);
    const result = out ?? new Float32Array(ready.outputSize);
    if (result.length !== ready.outputSize) throw this.wrongSize('out', result.length, ready.outputSize);
    ready.program.runRowSync(row, result);
    return result;
  }

  /** Rows as nested arrays or an NDArray. */
  predictRows(x: DataInput): NDArray {
    this.model.buildFor(x);
    if (this.model.front) return this.predictHosted(this.model.front, x);
    if (!isArrayInput(x))
      throw new ChainruleError(
        'ERR_CHAINRULE_INPUT',
        'predictSync: a Float32Array (one row), nested rows or an NDArray is expected.',
      );
    const column = { name: 'x', array: fromNested(x, { name: 'x' }) };
    return this.runTable(Table.of(fitRanks([column], 0, this.model.inputStructure), { x: 0 }));
  }

  /** Strings or raw integers: the host part at once, then the traced one. */
  private predictHosted(front: HostFront, given: unknown): NDArray {
    const { inputStructure: inputs } = this.model;
    const arrays = atOnce(front.work(inputLeaves(byInputs(given, inputs), inputs), false));
    const x = arrays.length === 1 ? 0 : arrays.map((_, i) => i);
    return this.runTable(Table.of(fitRanks(hostColumns(arrays), x, front.boundary), { x }));
  }

  private runTable(table: Table): NDArray {
    let found = this.synchronous.get(table.signature);
    if (!found) {
      const { trace, outputs, result } = describePredict(this.model, table);
      found = { executable: Executable.compileSync(trace, outputs), result };
      this.synchronous.set(table.signature, found);
    }
    return pack(found.result, found.executable.runSync(table.arrays, { checkFinite: true })) as NDArray;
  }

  forget(): void {
    this.row = undefined;
    this.synchronous.clear();
  }

  /** Compiles for these batch sizes, off the main thread where possible. */
  async warmup(programs: ProgramCache<PredictProgram>, batchSizes: readonly number[]): Promise<void> {
    const shapes = this.inputShapes('warmup');
    const rows = this.model.fixedBatch ?? 1;
    for (const size of batchSizes) checkBatchSize(size);
    const columns = shapes.map(({ name, shape, dtype }) => ({
      name,
      array: new NDArray(allocate(dtype, rows * sizeOf(shape)), [rows, ...shape], dtype),
    }));
    const arrays = columns.map(({ array }) => array);
    const table = this.model.front
      ? Table.of(hostColumns(arrays), { x: arrays.length === 1 ? 0 : arrays.map((_, i) => i) })
      : await toTable({ x: pack(this.model.inputStructure, arrays) }, { inputs: this.model.inputStructure });
    const { executable } = await programs.get(table.signature, () => buildPredict(this.model, table));
    // A run would move on the states that a model with a fixed batch may carry.
    if (this.model.fixedBatch) return;
    await executable.run(table.arrays);
    await executable.program.prepare(batchSizes);
    if (shapes.length === 1 && this.model.outputs.length === 1 && !this.model.front) this.row ??= this.prepare();
  }

  private prepare(): RowProgram {
    const shapes = this.inputShapes('predictSync');
    if (shapes.length !== 1)
      throw new ChainruleError(
        'ERR_CHAINRULE_UNSUPPORTED',
        `predictSync: model "${this.model.name}" has ${shapes.length} inputs; it takes one row of one input. Use await predict.`,
      );
    const { shape } = shapes[0]!;
    const { trace, outputs } = describePredict(
      this.model,
      tableLike(new NDArray(new Float32Array(sizeOf(shape)), [1, ...shape])),
      (x) => mapStructure(this.model.predictStep(x), (leaf) => (isTensor(leaf) ? cast(leaf, 'float32') : leaf)),
    );
    if (outputs.length !== 1)
      throw new ChainruleError(
        'ERR_CHAINRULE_UNSUPPORTED',
        `predictSync: model "${this.model.name}" has ${outputs.length} outputs; use await predict.`,
      );
    checkRows(this.model, outputs);
    const { program } = Executable.compileSync(trace, outputs);
    const start = flatten(this.model.front?.boundary ?? this.model.inputStructure)[0]?.item as Tensor | undefined;
    return {
      program,
      inputSize: sizeOf(shape),
      outputSize: sizeOf(outputs[0]!.dims.slice(1)),
      narrow: start && narrows(start, 'float32') ? start : undefined,
    };
  }

  private inputShapes(what: string): { name: string; shape: number[]; dtype: Tensor['dtype'] }[] {
    this.model.needBuilt(what);
    const leaves = flatten(this.model.front?.boundary ?? this.model.inputStructure).map(
      (leaf) => leaf.item as Tensor | undefined,
    );
    const known = leaves.every((leaf) => leaf !== undefined);
    if (known && leaves.some((leaf) => hasOpenAxis(leaf!.dims)))
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `${what}: an input of model "${this.model.name}" has axes of any length, ${leaves.map((leaf) => shapeText(leaf!.shape)).join(', ')}; numbers in a row do not tell them. Pass nested rows or an NDArray${what === 'warmup' ? ' to predict: the first of each length compiles' : ''}.`,
      );
    if (known)
      return leaves.map((leaf, i) => ({ name: `x.${i}`, shape: [...leaf!.dims.slice(1)], dtype: leaf!.dtype }));
    const { buildShape } = this.model;
    const rows =
      Array.isArray(buildShape) && buildShape.every((dim) => dim === null || typeof dim === 'number')
        ? (buildShape as (number | null)[]).slice(1)
        : undefined;
    if (rows?.every((dim) => typeof dim === 'number'))
      return [{ name: 'x', shape: rows as number[], dtype: 'float32' }];
    throw new ChainruleError(
      'ERR_CHAINRULE_NOT_BUILT',
      `${what}: the input shape of model "${this.model.name}" is not known; call model.build([null, …]) with it first, or pass nested rows.`,
    );
  }

  private wrongSize(what: string, got: number, expected: number): ChainruleError {
    return new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `predictSync: ${what} has ${got} numbers, model "${this.model.name}" ${what === 'row' ? 'takes' : 'gives'} ${expected}. For several rows pass nested arrays or an NDArray.`,
    );
  }
}

function tableLike(array: AnyArray): Table {
  return Table.of([{ name: 'x', array }], { x: 0 });
}
