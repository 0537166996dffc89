import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { abs, add, divide, multiply } from './math.js';
import { cast, float, type Operand } from './operands.js';
import { max } from './reduce.js';
import { squeeze } from './shape.js';

// Keras's int8 arithmetic (keras/src/quantizers/quantizers.py, keras/src/layers/core/dense.py and embedding.py).

/** Numbers as int8 and the factors that made them so, one for each slice along `axis`. */
export function absMaxQuantize(x: Operand, axis: number): { values: Tensor; scale: Tensor } {
  const scale = divide(127, add(max(abs(x), { axis, keepdims: true }), 1e-7));
  return { values: emit('toInt8', [multiply(x, scale)]), scale: squeeze(scale, axis) };
}

/** x · weights / scale, where every row of x is quantized, too, by its own largest magnitude. */
export const matmulInt8 = (x: Operand, weights: Operand, scale: Operand): Tensor =>
  emit('matmulInt8', [float(x), weights, scale]);

/** Rows of a table of int8, divided by their scales. */
export const takeInt8 = (table: Operand, scale: Operand, ids: Operand): Tensor =>
  emit('gatherInt8', [table, cast(ids, 'int32'), scale]);
