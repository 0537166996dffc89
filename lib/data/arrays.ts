import { ChainruleError, checkOptions } from '../errors.js';
import { nextSeed } from '../graph/seed.js';
import { flatten, pack } from '../graph/structure.js';
import { compute } from '../graph/traced.js';
import { type AnyArray, type ArrayInput, allocate, isArrayInput, NDArray, sizeOf } from '../ndarray.js';
import { fromNested, fromNestedAsync } from '../nested.js';
import { divide, equal, where } from '../ops/math.js';
import { type NormOptions, norm } from '../ops/reduce.js';
import { anything, checkRules, checkValues, integer } from '../rules.js';
import { isStringInput, StringArray } from '../strings.js';
import type { BatchParts, DataInput } from './columns.js';
import { Dataset } from './dataset.js';
import { permutation } from './permutation.js';

/** Class numbers as one-hot vectors; an axis of size 1 at the end is dropped (https://keras.io/api/utils/python_utils/#to_categorical-function). */
export function toCategorical(x: ArrayInput, numClasses?: number): NDArray {
  checkValues('toCategorical', { numClasses }, { numClasses: integer(1) });
  const classes = fromNested(x, { name: 'toCategorical' });
  let most = -1;
  for (const value of classes.data) most = Math.max(most, value);
  const depth = numClasses ?? most + 1;
  const shape = classes.rank > 1 && classes.shape.at(-1) === 1 ? classes.shape.slice(0, -1) : classes.shape;
  const result = new Float32Array(classes.size * depth);
  classes.data.forEach((value: number, i: number) => {
    if (!Number.isInteger(value) || value < 0 || value >= depth)
      throw new ChainruleError(
        'ERR_CHAINRULE_INPUT',
        `toCategorical: element ${i} is ${value}, which is no class 0 … ${depth - 1}.`,
        { details: { element: i, value, classes: depth } },
      );
    result[i * depth + value] = 1;
  });
  return new NDArray(result, [...shape, depth]);
}

/** Rows (or whatever stands along the axis) divided by their norm; those of zeros stay (https://keras.io/api/utils/python_utils/#normalize-function). */
export async function normalize(
  x: ArrayInput,
  options: { axis?: number; order?: NonNullable<NormOptions['ord']> } = {},
): Promise<NDArray> {
  checkRules('normalize', options, { axis: integer(), order: anything });
  const { axis = -1, order = 2 } = options;
  const array = await fromNestedAsync(x, { name: 'normalize', dtype: 'float32' });
  return compute(() => {
    const size = norm(array, { ord: order, axis, keepdims: true });
    return divide(array, where(equal(size, 0), 1, size));
  });
}

export interface SplitOptions {
  /** Elements of the first part: a number of them, or (below 1) a part of all. */
  leftSize?: number;
  /** The same for the second; one of the two may be left out. */
  rightSize?: number;
  /** Mix the elements before they are split. Default false. */
  shuffle?: boolean;
  seed?: number;
}

/**
 * Data in two parts (https://keras.io/api/utils/python_utils/#split_dataset-function): arrays, which are split along their
 * rows, or a Dataset, whose elements are collected in memory.
 */
export async function splitDataset(
  data: DataInput | Dataset | BatchParts,
  options: SplitOptions,
): Promise<[Dataset, Dataset]> {
  checkOptions('splitDataset', options, ['leftSize', 'rightSize', 'shuffle', 'seed']);
  const ordered = (count: number): number[] | undefined =>
    options.shuffle ? permutation(count, options.seed ?? nextSeed(), 0, 0) : undefined;
  if (data instanceof Dataset) {
    const elements: BatchParts[] = [];
    for await (const element of data) elements.push(element);
    const [left, right] = splitSizes(elements.length, options);
    const order = ordered(elements.length);
    const mixed = order ? order.map((i) => elements[i]!) : elements;
    return [Dataset.from(mixed.slice(0, left)), Dataset.from(mixed.slice(left, left + right))];
  }
  const isParts = typeof data === 'object' && 'x' in data && Object.getPrototypeOf(data) === Object.prototype;
  const parts = isParts ? (data as BatchParts) : { x: data };
  const leaves = flatten(parts, isLeaf);
  const columns = await Promise.all(leaves.map(({ item, path }) => columnOf(item, path)));
  const counts = columns.map((column) => (column instanceof NDArray ? (column.shape[0] ?? 0) : column.length));
  if (counts.some((count) => count !== counts[0]))
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `splitDataset: the arrays have ${counts.join(', ')} rows; every array needs one row per sample.`,
    );
  const [left, right] = splitSizes(counts[0] ?? 0, options);
  const order = ordered(counts[0]!);
  const part = (begin: number, end: number): Dataset =>
    Dataset.from(
      pack(
        parts,
        columns.map((column) => rowsOf(column, begin, end, order)),
        isLeaf,
      ) as BatchParts,
    );
  return [part(0, left), part(left, left + right)];
}

const isLeaf = (item: unknown): boolean => isArrayInput(item) || item instanceof StringArray;

async function columnOf(item: unknown, path: string): Promise<AnyArray | readonly unknown[]> {
  if (item instanceof StringArray) return item.toNested() as unknown[];
  if (isStringInput(item) && Array.isArray(item)) return item;
  return fromNestedAsync(item as ArrayInput, { name: `splitDataset: ${path}`, allowNonFinite: true });
}

function rowsOf(
  column: AnyArray | readonly unknown[],
  begin: number,
  end: number,
  order: readonly number[] | undefined,
): unknown {
  if (!(column instanceof NDArray))
    return order ? order.slice(begin, end).map((row) => column[row]) : column.slice(begin, end);
  if (!order) return column.rows(begin, end);
  const width = sizeOf(column.shape.slice(1));
  const data = allocate(column.dtype, (end - begin) * width);
  for (let i = begin; i < end; i++) {
    const row = order[i]!;
    data.set(column.data.subarray(row * width, (row + 1) * width), (i - begin) * width);
  }
  return new NDArray(data, [end - begin, ...column.shape.slice(1)], column.dtype);
}

function splitSizes(total: number, { leftSize, rightSize }: SplitOptions): [number, number] {
  const refuse = (text: string): never => {
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `splitDataset: ${text}`);
  };
  const count = (name: string, size: number | undefined): number | undefined => {
    if (size === undefined) return undefined;
    if (size > 0 && size < 1) return halfEven(size * total);
    if (Number.isInteger(size) && size >= 1 && size < total) return size;
    return refuse(`${name} must be a number of elements below ${total}, or a part between 0 and 1, got ${size}.`);
  };
  const [left, right] = [count('leftSize', leftSize), count('rightSize', rightSize)];
  if (left === undefined && right === undefined) return refuse('give leftSize, rightSize or both.');
  const sizes: [number, number] = [left ?? total - right!, right ?? total - left!];
  if (sizes[0] + sizes[1] > total)
    refuse(`the parts of ${sizes[0]} and ${sizes[1]} are more than the ${total} elements.`);
  if (sizes.includes(0)) refuse(`of ${total} elements, one part would have none.`);
  return sizes;
}

/** Python's rounding. */
function halfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
