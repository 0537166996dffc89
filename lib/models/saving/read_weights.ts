import { ChainruleError } from '../../errors.js';
import { Hdf5Dataset, Hdf5Group } from '../../formats/hdf5/index.js';
import { pause } from '../../formats/pause.js';
import { type AnyArray, computeDtype, NDArray } from '../../ndarray.js';
import { fromNestedAsync } from '../../nested.js';
import type { Match } from './match.js';

/** Reads all numbers, then writes them: a file that breaks in the middle leaves the variables as they were. */
export async function assign(matches: readonly Match[], signal?: AbortSignal): Promise<void> {
  const values: AnyArray[] = [];
  for (const { variable, dataset } of matches) {
    signal?.throwIfAborted();
    const { data, dtype } = await dataset.read();
    const array = new NDArray(data, variable.shape, dtype) as AnyArray;
    const wanted = computeDtype(variable.dtype);
    if (dtype !== wanted && (dtype === 'float32' || wanted === 'bool'))
      throw new ChainruleError(
        'ERR_CHAINRULE_FORMAT',
        `"${dataset.path}" holds ${dtype}, but ${variable.path} is ${variable.dtype}.`,
      );
    values.push(await fromNestedAsync(array, { name: dataset.path, dtype: wanted, allowNonFinite: true }));
    await pause();
  }
  for (const [i, { variable }] of matches.entries()) await variable.write(values[i]!);
}

/** The arrays that a layer keeps under names of their own, beside the numbered ones. */
export async function namedArrays(root: Hdf5Group, place: string): Promise<Map<string, NDArray>> {
  const arrays = new Map<string, NDArray>();
  const vars = (place === '' ? root : root.group(place))?.group('vars');
  for (const name of vars?.names() ?? []) {
    const dataset = /^\d+$/.test(name) ? undefined : vars!.dataset(name);
    if (dataset) {
      const { data, dtype } = await dataset.read();
      arrays.set(name, new NDArray(data, dataset.shape, dtype) as AnyArray as NDArray);
    }
  }
  return arrays;
}

/** Bytes that all numbers of a file take as float32. Contiguous arrays that overlap are refused: they could claim any size. */
export function sizeOfWeights(root: Hdf5Group, fileSize: number, label: string): number {
  let total = 0;
  const visit = (group: Hdf5Group): void => {
    for (const name of group.names()) {
      const inner = group.get(name);
      if (inner instanceof Hdf5Group) visit(inner);
      else if (inner instanceof Hdf5Dataset) total += inner.size * 4;
    }
  };
  visit(root);
  if (total <= 4 * fileSize + 2 ** 20) return total;
  throw new ChainruleError(
    'ERR_CHAINRULE_FORMAT',
    `${label}: its arrays claim ${total} bytes, but the file has only ${fileSize}.`,
  );
}
