import { ChainruleError } from '../../errors.js';
import { type ArrayInput, isArrayInput, isTypedArray, NDArray, shapeText, sizeOf } from '../../ndarray.js';
import { fromNested, fromNestedAsync } from '../../nested.js';
import { isStringInput, StringArray, stringsNow, stringsOf } from '../../strings.js';
import { perform, type Work } from './work.js';

/** Integers of up to 53 bits, with a shape: larger ones than the engine computes with (ids, hashes). */
export class Integers {
  constructor(
    readonly numbers: Float64Array,
    readonly shape: readonly number[],
  ) {}

  get size(): number {
    return this.numbers.length;
  }

  reshape(shape: readonly number[]): Integers {
    return new Integers(this.numbers, shape);
  }
}

/** What flows through the host part of a model. */
export type HostValue = StringArray | Integers;

/** Strings or integers from what a caller passes; large nested arrays in slices. */
export function* hostValue(data: unknown, name: string): Work<HostValue> {
  if (data instanceof StringArray || data instanceof Integers) return data;
  if (isStringInput(data))
    return yield* perform({ background: () => stringsOf(data, name), now: () => stringsNow(data, name) });
  if (data instanceof NDArray || isTypedArray(data)) return integers(data, name);
  if (!isArrayInput(data)) {
    const first = Array.isArray(data) ? `a list of ${data[0] === null ? 'null' : typeof data[0]}` : String(data);
    throw new ChainruleError(
      'ERR_CHAINRULE_INPUT',
      `${name}: strings or integers are expected (nested arrays, an NDArray, a StringArray), got ${first}.`,
    );
  }
  // The shape and its errors come from the usual conversion; the numbers are taken again where float32 would round them.
  const array = yield* perform({
    background: () => fromNestedAsync(data as ArrayInput, { name }),
    now: () => fromNested(data as ArrayInput, { name }),
  });
  const numbers = new Float64Array(sizeOf(array.shape));
  let at = 0;
  const fill = (item: unknown): void => {
    if (Array.isArray(item) || isTypedArray(item)) for (const inner of item) fill(inner);
    else numbers[at++] = whole(Number(item), name);
  };
  fill(data);
  return new Integers(numbers, array.shape);
}

/** Strings, which nothing at all counts as, too; undefined for numbers. */
export function stringsIn(value: HostValue): StringArray | undefined {
  if (value instanceof StringArray) return value;
  return value.size === 0 ? new StringArray(new Uint8Array(0), new Int32Array(1), value.shape) : undefined;
}

function integers(data: NDArray | ArrayLike<number | bigint>, name: string): Integers {
  const values = data instanceof NDArray ? data.data : data;
  const numbers = Float64Array.from(values as ArrayLike<number>, (value) => whole(Number(value), name));
  return new Integers(numbers, data instanceof NDArray ? data.shape : [numbers.length]);
}

/** Floats lose their fraction, as Keras casts them. */
function whole(value: number, name: string): number {
  const integer = Math.trunc(value);
  if (Number.isSafeInteger(integer)) return integer + 0;
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `${name}: ${value} is no integer below 2^53. Pass larger ids as strings (StringLookup, Hashing).`,
  );
}

/** The value under the rank that an input declares: an axis of size 1 at the end is added or dropped, as Keras does. */
export function fitted(value: HostValue, dims: readonly number[], where: string): HostValue {
  const { shape } = value;
  let fit = value;
  if (shape.length === dims.length - 1 && dims.at(-1) === 1) fit = value.reshape([...shape, 1]);
  else if (shape.length === dims.length + 1 && shape.at(-1) === 1) fit = value.reshape(shape.slice(0, -1));
  const agrees =
    fit.shape.length === dims.length && dims.every((dim, axis) => !(dim >= 0) || axis === 0 || fit.shape[axis] === dim);
  if (agrees) return fit;
  const expected = dims.map((dim) => (dim >= 0 ? dim : null));
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${where} expects shape ${shapeText(expected)} but got ${shapeText(shape)}.`,
    { details: { expected, got: [...shape] } },
  );
}
