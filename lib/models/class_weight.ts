import { ChainruleError, shown } from '../errors.js';
import { isTensor, type Tensor } from '../graph/tensor.js';
import type { TensorStructure } from '../layers/layer.js';
import { NDArray } from '../ndarray.js';
import { maximum, minimum, round } from '../ops/math.js';
import { cast, float } from '../ops/operands.js';
import { argmax } from '../ops/reduce.js';
import { squeeze, take } from '../ops/shape.js';

/** Class number to weight; classes that are not named weigh 1. */
export type ClassWeight = Readonly<Record<number | string, number>>;

/** A plain object, of any realm, or a list. */
function isRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return Array.isArray(value);
  const parent: unknown = Object.getPrototypeOf(value);
  return parent === null || Object.getPrototypeOf(parent) === null;
}

export function checkClassWeight(classWeight: ClassWeight): void {
  if (!isRecord(classWeight) || Object.keys(classWeight).length === 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `fit: classWeight is a record of weights by class number, { 0: 1, 1: 5 }, got ${shown(classWeight)}.`,
    );
  for (const [key, weight] of Object.entries(classWeight)) {
    if (!/^\d+$/.test(key) || !(weight >= 0 && Number.isFinite(weight))) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `fit: classWeight maps class numbers (integers >= 0) to weights >= 0, got ${key}: ${shown(weight)}.`,
      );
    }
  }
}

/** While tracing: the weight of each row by its class. One-hot targets count as their class. */
export function gatherWeights(classWeight: ClassWeight, y: TensorStructure | undefined): Tensor {
  if (!isTensor(y))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      'fit: classWeight needs one array of targets; with several outputs use sampleWeight.',
    );
  const oneHot = y.rank >= 2 && y.dims.at(-1) !== 1;
  const plain = y.rank >= 2 && !oneHot ? squeeze(y, -1) : y;
  const classes = oneHot ? argmax(y, { axis: -1 }) : cast(round(float(plain)), 'int32');
  const last = Math.max(...Object.keys(classWeight).map(Number)) + 1;
  const table = Float32Array.from({ length: last + 1 }, (_, i) => classWeight[i] ?? 1);
  return take(new NDArray(table), maximum(minimum(classes, last), 0));
}
