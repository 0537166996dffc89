import { ChainruleError } from '../errors.js';
import type { DType, NativeDataset } from '../native.js';
import { type AnyArray, sizeOf } from '../ndarray.js';
import { notFinite } from '../nested.js';
import type { Table } from './columns.js';

const checkable: readonly DType[] = ['float32'];

/** Looks through float columns off the main thread; names the row and column of the first NaN or Infinity. */
export async function checkFinite(dataset: NativeDataset, table: Table): Promise<void> {
  for (const [i, { name, array }] of table.columns.entries()) {
    if (!checkable.includes(array.dtype)) continue;
    const bad = await dataset.firstBad(i, { finite: true });
    if (bad >= 0) throw notFinite(array.data[bad]!, placeOf(array, bad), { name });
  }
}

/** A range that the values of a column must be in: labels of classes, or ids of a layer's table. */
export interface RangeCheck {
  column: number;
  /** Values are 0 … limit - 1. */
  limit: number;
  /** The layer whose ids they are; labels have none. */
  layer?: string;
}

/** Looks for labels that are no class and ids that no table has; names the row and the value. */
export async function checkRange(dataset: NativeDataset, table: Table, check: RangeCheck): Promise<void> {
  const { column, limit, layer } = check;
  const bad = await dataset.firstBad(column, { low: 0, high: limit });
  if (bad < 0) return;
  const { name, array } = table.columns[column]!;
  const [row, ...rest] = placeOf(array, bad);
  const where = `${name}: row ${row}${rest.some((at) => at > 0) || sizeOf(array.shape.slice(1)) > 1 ? `, column ${rest.join(', ')}` : ''}`;
  const value = array.data[bad];
  if (layer === undefined)
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${where} has class ${value}, but the model's output has ${limit} classes, 0 … ${limit - 1}. Check the labels or the units of the last layer.`,
      { details: { row, label: value, classes: limit } },
    );
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `${where} has the id ${value}, but layer "${layer}" has a table of ${limit} rows: ids must be 0 … ${limit - 1}. Raise the layer's inputDim, or map other ids to one of these.`,
    { details: { layer, row, id: value, inputDim: limit } },
  );
}

const [least, most] = [-(2 ** 31), 2 ** 31 - 1];

/** What declares the dtype of a column: the tensor of an input. */
export interface Declared {
  readonly name?: string;
  readonly dtype: DType;
  readonly hostDtype?: string | undefined;
}

/** Whether data of this dtype must be looked through before they become integers of an input. */
export const narrows = (input: Declared, dtype: DType): boolean =>
  input.dtype === 'int32' && input.hostDtype === undefined && (dtype === 'float32' || dtype === 'uint32');

/** Refuses numbers that int32 does not hold, where an input declares it: a cast would take the nearest that it holds. */
export function checkInt32(name: string, array: AnyArray, input: Declared): void {
  if (!narrows(input, array.dtype)) return;
  const { data } = array;
  let bad = 0;
  while (bad < data.length && Math.trunc(data[bad]!) >= least && data[bad]! <= most) bad++;
  if (bad === data.length) return;
  const [row, ...rest] = placeOf(array, bad);
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `${name}: row ${row}${rest.length > 0 ? `, column ${rest.join(', ')}` : ''} is ${data[bad]}, but the input is declared int32: integers from ${least} to ${most}. Declare it float32, or int64 for layers that look up or hash large ids.`,
    { details: { row, value: data[bad] } },
  );
}

function placeOf(array: AnyArray, element: number): number[] {
  const place: number[] = [];
  let rest = element;
  for (let axis = array.rank - 1; axis >= 0; axis--) {
    place.unshift(rest % array.shape[axis]!);
    rest = Math.floor(rest / array.shape[axis]!);
  }
  return place;
}
