import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import * as ops from '../../ops/index.js';

/** A Python slice, as it stands in the arguments of an indexed tensor. */
export class Slice {
  constructor(
    readonly start: number | undefined,
    readonly stop: number | undefined,
    readonly step: number | undefined,
  ) {}
}

/** Python's `...` among the arguments of an indexed tensor. */
export class Ellipsis {}

/** `x[key]` with Python's meaning: integers drop an axis, slices cut, None adds an axis, `...` fills up. */
export function getItem(x: Tensor, key: unknown): Tensor {
  const keys = Array.isArray(key) ? [...(key as unknown[])] : [key];
  const used = keys.filter((one) => one !== null && !(one instanceof Ellipsis)).length;
  const fill = keys.findIndex((one) => one instanceof Ellipsis);
  const missing = Array.from({ length: Math.max(0, x.rank - used) }, () => new Slice(undefined, undefined, undefined));
  if (fill >= 0) keys.splice(fill, 1, ...missing);
  let value = x;
  let axis = 0;
  for (const one of keys) {
    if (one === null) value = ops.expandDims(value, axis++);
    else if (typeof one === 'number') value = ops.at(value, one, axis);
    else if (one instanceof Slice) value = cut(value, axis++, one);
    else
      throw new ChainruleError(
        'ERR_CHAINRULE_UNSUPPORTED',
        'GetItem: a tensor can be indexed by integers, slices, None and ... only.',
      );
  }
  return value;
}

function cut(x: Tensor, axis: number, { start, stop, step = 1 }: Slice): Tensor {
  if (start === undefined && stop === undefined && step === 1) return x;
  const size = x.dims[axis]!;
  if (size < 0)
    throw new ChainruleError('ERR_CHAINRULE_UNSUPPORTED', 'GetItem: the batch axis can only be taken whole.');
  const bound = (at: number | undefined, absent: number): number => {
    if (at === undefined) return absent;
    const from = at < 0 ? at + size : at;
    return step > 0 ? Math.min(Math.max(from, 0), size) : Math.min(Math.max(from, -1), size - 1);
  };
  return ops.strided(x, axis, bound(start, step > 0 ? 0 : size - 1), bound(stop, step > 0 ? size : -1), step);
}
