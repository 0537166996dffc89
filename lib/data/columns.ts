import { ChainruleError, shown } from '../errors.js';
import { flatten, pack } from '../graph/structure.js';
import { type NativeDataset, native } from '../native.js';
import { type AnyArray, type ArrayInput, bound, isArrayInput, shapeText } from '../ndarray.js';
import { fromNestedAsync } from '../nested.js';
import type { StringInput } from '../strings.js';
import { checkInt32, type Declared } from './checks.js';

/** One array, several in a list, or several by name. */
export type DataInput =
  | ArrayInput
  | StringInput
  | readonly (ArrayInput | StringInput)[]
  | Readonly<Record<string, ArrayInput | StringInput>>;

/** The parts of a batch. */
export interface BatchParts {
  x: unknown;
  y?: unknown;
  sampleWeight?: unknown;
}
const parts = ['x', 'y', 'sampleWeight'] as const;

/** A column of a table whose rows are samples. */
export interface Column {
  /** `x`, `y.kind`, `x.0`. */
  name: string;
  array: AnyArray;
}

/** Columns in the order in which a program takes them, and how they make up x, y and sampleWeight. */
export class Table {
  private constructor(
    readonly columns: readonly Column[],
    /** x, y and sampleWeight with column numbers as leaves. */
    readonly layout: BatchParts,
    readonly rows: number,
  ) {}

  static of(columns: readonly Column[], layout: BatchParts): Table {
    if (columns.length === 0) throw new ChainruleError('ERR_CHAINRULE_INPUT', 'there is no data: pass x.');
    const rows = columns[0]!.array.shape[0] ?? -1;
    for (const { name, array } of columns) {
      if (array.rank === 0)
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `${name} is a single number; data needs a first axis, its rows.`,
        );
      if (array.shape[0] !== rows) {
        const first = columns[0]!.name;
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `${first} has ${rows} rows but ${name} has ${array.shape[0]}; every array needs one row per sample.`,
          {
            details: { [first]: rows, [name]: array.shape[0] },
          },
        );
      }
    }
    if (rows === 0)
      throw new ChainruleError(
        'ERR_CHAINRULE_INPUT',
        `${columns[0]!.name} has no rows (shape ${shapeText(columns[0]!.array.shape)}); at least one sample is needed.`,
      );
    return new Table(columns, layout, rows);
  }

  get arrays(): AnyArray[] {
    return this.columns.map(({ array }) => array);
  }

  /** What a program depends on: names, dtypes, dimensions beside the batch, and the structure. */
  get signature(): string {
    return JSON.stringify([
      this.layout,
      this.columns.map(({ name, array }) => [name, array.dtype, array.shape.slice(1)]),
    ]);
  }

  /** The structure of x, y and sampleWeight with other leaves. */
  fill<T>(leaves: readonly T[]): BatchParts {
    return pack(this.layout, leaves) as BatchParts;
  }

  slice(begin: number, end: number): Table {
    return new Table(
      this.columns.map(({ name, array }) => ({ name, array: array.rows(begin, end) })),
      this.layout,
      end - begin,
    );
  }

  /** The native twin; small data is copied, large arrays are pinned: don't write to them meanwhile. */
  toNative(): NativeDataset {
    const bytes = this.columns.reduce((total, { array }) => total + array.data.byteLength, 0);
    return new native.Dataset(
      this.columns.map(({ array }) => bound(array)),
      bytes <= 1 << 20,
    );
  }
}

/** What an input says of its data. */
interface InputTensor extends Declared {
  readonly dims: readonly number[];
}

export interface TableOptions {
  allowNonFinite?: boolean;
  /** What the model's inputs look like, where it is known: a list or record of tensors, or one. */
  inputs?: unknown;
  /** Number of the model's outputs, where it is known. */
  outputs?: number;
  /** The part of the model that makes columns of strings. */
  front?: Front | undefined;
}

/** What a table needs to know of a model's host part. */
export interface Front {
  readonly boundary: readonly unknown[];
  columns(inputs: readonly unknown[], options: { allowNonFinite?: boolean | undefined }): Promise<AnyArray[]>;
}

/** Converts x, y and weights; big nested arrays in slices of 5 ms. */
export async function toTable(data: BatchParts, options: TableOptions = {}): Promise<Table> {
  const columns: Column[] = [];
  const layout: Record<string, unknown> = {};
  for (const part of parts) {
    const value = data[part];
    if (value === undefined || value === null) continue;
    refuseRecords(part, value);
    const shaped = part === 'x' ? byInputs(value, options.inputs) : value;
    if (part === 'x' && options.front) {
      const arrays = await options.front.columns(inputLeaves(shaped, options.inputs), options);
      columns.push(...hostColumns(arrays));
      layout.x = arrays.length === 1 ? 0 : arrays.map((_, i) => i);
      continue;
    }
    const isLeaf = part === 'x' ? leafTest(shaped, options.inputs) : outputTest(shaped, options.outputs ?? 1);
    const leaves = flatten(shaped, isLeaf, part);
    const first = columns.length;
    for (const { item, path } of leaves) columns.push({ name: path, array: await toArray(item, path, options) });
    let next = first;
    layout[part] = pack(
      shaped,
      leaves.map(() => next++),
      isLeaf,
    );
  }
  const adjusted = fitRanks(columns, layout.x, options.front?.boundary ?? options.inputs);
  return Table.of(adjusted, layout as unknown as BatchParts);
}

/** Rows as objects, as they come from JSON or a database: which columns count, and in which order, only the program knows. */
function refuseRecords(part: string, value: unknown): void {
  const first: unknown = Array.isArray(value) ? value[0] : undefined;
  if (typeof first !== 'object' || first === null || Object.getPrototypeOf(first) !== Object.prototype) return;
  const keys = Object.keys(first).slice(0, 4).join(', ');
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `${part}: the rows are objects, { ${keys} }; lists of numbers are expected: rows.map(({ ${keys} }) => [${keys}]).`,
  );
}

/** Columns of what the host part gives. */
export const hostColumns = (arrays: readonly AnyArray[]): Column[] =>
  arrays.map((array, i) => ({ name: arrays.length === 1 ? 'x' : `x.${i}`, array }));

/** What is passed for each input: data may be strings, so that only the inputs tell where one ends. */
export function inputLeaves(value: unknown, inputs: unknown): unknown[] {
  if (Array.isArray(inputs)) return inputs.flatMap((input, i) => inputLeaves((value as unknown[])[i], input));
  if (typeof inputs === 'object' && inputs !== null && Object.getPrototypeOf(inputs) === Object.prototype)
    return Object.entries(inputs).flatMap(([name, input]) =>
      inputLeaves((value as Record<string, unknown>)[name], input),
    );
  return [value];
}

/** Where the model has several inputs, a list is a list of inputs and not of rows. */
function leafTest(value: unknown, inputs: unknown): (item: unknown) => boolean {
  const several = Array.isArray(inputs) || (inputs !== undefined && flatten(inputs).length > 1);
  return (item) => (several && item === value ? false : isArrayInput(item));
}

/** Where the model has several outputs, a list of as many arrays is one for each and not rows. */
function outputTest(value: unknown, outputs: number): (item: unknown) => boolean {
  const each =
    outputs > 1 && Array.isArray(value) && value.length === outputs && value.every((item) => typeof item === 'object');
  return (item) => (each && item === value ? false : isArrayInput(item));
}

/** Records match the inputs' names where the model takes a list. */
export function byInputs(value: unknown, inputs: unknown): unknown {
  const isRecord = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (inputs === undefined) return value;
  const leaves = flatten(inputs).map((leaf) => leaf.item as { name?: string });
  if (Array.isArray(inputs)) {
    if (isRecord) return leaves.map(({ name }) => named(value as Record<string, unknown>, name ?? '', leaves));
    if (Array.isArray(value) && value.length === inputs.length) return value;
    if (leaves.length === 1) return [value];
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `x: the model has ${leaves.length} inputs (${leaves.map(({ name }) => `"${name}"`).join(', ')}); pass a list of as many arrays or a record by name.`,
    );
  }
  if (leaves.length === 1) {
    if (!isRecord || isArrayInput(value)) return value;
    const keys = Object.keys(value as object);
    if (keys.length === 1) return Object.values(value as object)[0];
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `x: the model has one input, "${leaves[0]!.name ?? ''}", got a record of ${keys.length}${keys.map((key, i) => `${i ? ', ' : ': '}"${key}"`).join('')}. Pass its array alone.`,
    );
  }
  const names = Object.keys(inputs as object);
  if (isRecord)
    return Object.fromEntries(
      names.map((name) => [
        name,
        named(
          value as Record<string, unknown>,
          name,
          names.map((one) => ({ name: one })),
        ),
      ]),
    );
  if (Array.isArray(value) && value.length === names.length)
    return Object.fromEntries(names.map((name, i) => [name, value[i]]));
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `x: the model's inputs are ${names.map((name) => `"${name}"`).join(', ')}; pass a record with these names.`,
  );
}

function named(record: Record<string, unknown>, name: string, all: readonly { name?: string }[]): unknown {
  if (record[name] !== undefined) return record[name];
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `x: input "${name}" is missing; the model's inputs are ${all.map((one) => `"${one.name}"`).join(', ')}, got ${Object.keys(
      record,
    )
      .map((key) => `"${key}"`)
      .join(', ')}.`,
  );
}

async function toArray(item: unknown, name: string, options: TableOptions): Promise<AnyArray> {
  if (typeof item === 'string')
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${name} is the string "${item.slice(0, 40)}"; numbers are expected.`,
    );
  if (!isArrayInput(item)) {
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${name}: an array is expected (nested arrays, a typed array, an NDArray), got ${Array.isArray(item) ? 'a list of something else' : item instanceof Promise ? 'a promise: await it first' : shown(item)}.`,
    );
  }
  return fromNestedAsync(item, { name, allowNonFinite: options.allowNonFinite });
}

/**
 * Keras's rule: an axis of size 1 at the end is added or dropped where the model's input asks for it. One row that lacks
 * its batch axis is refused, and so are numbers that the input's dtype does not hold.
 */
export function fitRanks(columns: readonly Column[], xLayout: unknown, inputs: unknown): Column[] {
  const tensors = inputs === undefined ? [] : flatten(inputs).map((leaf) => leaf.item as InputTensor);
  const numbers = flatten(xLayout).map((leaf) => leaf.item as number);
  return columns.map((column, i) => {
    const input = tensors[numbers.indexOf(i)];
    const { array } = column;
    if (!input || numbers.length !== tensors.length) return column;
    checkInt32(column.name, array, input);
    const rank = input.dims.length;
    if (array.rank === rank - 1) {
      const endsInOne = input.dims.at(-1) === 1;
      const widened = [...array.shape, 1];
      if (!(endsInOne && fits(widened, input.dims)) && fits([1, ...array.shape], input.dims))
        throw oneRow(column, input);
      if (endsInOne) return { ...column, array: array.reshape(widened) };
    }
    if (array.rank === 1 && rank > 1) refuseFlat(column, input);
    if (array.rank === rank + 1 && array.shape.at(-1) === 1)
      return { ...column, array: array.reshape(array.shape.slice(0, -1)) };
    return column;
  });
}

/** Whether an array of this shape is a batch of what an input declares. */
const fits = (shape: readonly number[], dims: readonly number[]): boolean =>
  shape.length === dims.length && dims.every((dim, axis) => axis === 0 || !(dim >= 0) || shape[axis] === dim);

/** All rows in one flat array: its shape must be said. */
function refuseFlat({ name, array }: Column, { dims }: { dims: readonly number[] }): void {
  const width = dims.slice(1).reduce((product, dim) => product * dim, 1);
  if (!(width > 1) || dims.slice(1).some((dim) => dim < 0) || array.size % width !== 0) return;
  const shape = [array.size / width, ...dims.slice(1)];
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${name} is a flat array of ${array.size} numbers; the model takes rows, ${shapeText(dims.map((dim) => (dim >= 0 ? dim : null)))}. Say its shape: new NDArray(${name}, ${shapeText(shape)}).`,
    { details: { got: [...array.shape], expected: shape } },
  );
}

function oneRow({ name, array }: Column, { dims }: { dims: readonly number[] }): ChainruleError {
  const expected = dims.map((dim) => (dim >= 0 ? dim : null));
  return new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${name} is one row of shape ${shapeText(array.shape)}; the model takes rows, ${shapeText(expected)}. Wrap it: [row], as in predict([[…]]), or give an NDArray the shape ${shapeText([1, ...array.shape])}.`,
    { details: { expected, got: [...array.shape] } },
  );
}
