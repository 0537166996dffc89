import { ChainruleError } from '../../errors.js';
import { type AnyArray, type ArrayInput, isArrayInput } from '../../ndarray.js';
import { fromNestedAsync } from '../../nested.js';

/** What `adapt` learns from: one array, or a stream of batches (a Dataset after batch(), a list of arrays, a generator). */
export type AdaptData = ArrayInput | AsyncIterable<unknown> | Iterable<unknown>;

/** The batches one by one; of elements { x, … } or [x, y] it is x that counts. */
export async function* batchesOf(where: string, data: AdaptData): AsyncGenerator<AnyArray> {
  if (isArrayInput(data)) {
    yield await fromNestedAsync(data, { name: where, allowNonFinite: true });
    return;
  }
  let any = false;
  for await (const element of data as AsyncIterable<unknown>) {
    any = true;
    yield await fromNestedAsync(inputOf(where, element), { name: where, allowNonFinite: true });
  }
  if (!any) throw new ChainruleError('ERR_CHAINRULE_INPUT', `${where}: the data holds no batches.`);
}

function inputOf(where: string, element: unknown): ArrayInput {
  if (isArrayInput(element)) return element;
  const x = Array.isArray(element) ? element[0] : (element as { x?: unknown } | null)?.x;
  if (isArrayInput(x)) return x;
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `${where}: expected an array, or batches that are arrays, { x } or [x, y].`,
  );
}
