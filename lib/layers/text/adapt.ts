import { ChainruleError } from '../../errors.js';
import { type ArrayInput, isArrayInput } from '../../ndarray.js';
import { isStringInput, type StringInput } from '../../strings.js';
import { type HostValue, hostValue, Integers } from './values.js';
import { inBackground } from './work.js';

/** What a vocabulary is learned from: strings or integers as a whole, or a stream of batches of them. */
export type AdaptTexts = StringInput | ArrayInput | AsyncIterable<unknown> | Iterable<unknown>;

/** Batches one by one; `whole`: all data at once. Of elements { x, … } or [x, y] it is x that counts. */
export async function* batchesOfTexts(
  where: string,
  data: AdaptTexts,
): AsyncGenerator<{ value: HostValue; whole: boolean }> {
  if (isStringInput(data) || isArrayInput(data) || data instanceof Integers || Array.isArray(data)) {
    yield { value: await inBackground(hostValue(data, where)), whole: true };
    return;
  }
  if (typeof data !== 'object' || data === null || !(Symbol.asyncIterator in data || Symbol.iterator in data))
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${where}: expected strings or integers, a Dataset or an iterable of batches, got ${data === null ? 'null' : typeof data}.`,
    );
  for await (const element of data as AsyncIterable<unknown>)
    yield { value: await inBackground(hostValue(inputOf(element), where)), whole: false };
}

function inputOf(element: unknown): unknown {
  if (typeof element === 'object' && element !== null && !Array.isArray(element) && 'x' in element) return element.x;
  const pair =
    Array.isArray(element) &&
    (element.length === 2 || element.length === 3) &&
    typeof element[0] === 'object' &&
    !isStringInput(element[1]);
  return pair && !isArrayInput(element) ? (element as unknown[])[0] : element;
}
