import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { add, maximum, multiply, negative, subtract } from './math.js';
import { float, floatUnary, type Operand, oneAxis, tensor } from './operands.js';
import { sum } from './reduce.js';
import { oneHot } from './shape.js';

export const relu = (x: Operand): Tensor => emit('relu', [tensor(x)]);
export const softplus = (x: Operand): Tensor => floatUnary('softplus', x);

/** The logistic function. Its input stays known, so that a cross-entropy behind it can use the logits. */
export function sigmoid(x: Operand): Tensor {
  const logits = float(x);
  const result = emit('sigmoid', [logits]);
  result.logits = { value: logits, of: 'sigmoid' };
  return result;
}

/** exp(x) / Σ exp(x) along an axis. Its input stays known, as for sigmoid. */
export function softmax(x: Operand, axis = -1): Tensor {
  const logits = float(x);
  const at = oneAxis('softmax', logits, axis);
  const result = emit('softmax', [logits], { axis: at });
  result.logits = { value: logits, of: 'softmax', axis: at };
  return result;
}

export function logSoftmax(x: Operand, axis = -1): Tensor {
  const logits = float(x);
  return emit('logSoftmax', [logits], { axis: oneAxis('logSoftmax', logits, axis) });
}

/** −(y log σ(z) + (1−y) log(1−σ(z))) elementwise from logits, in the form that neither overflows nor loses digits. */
export function binaryCrossentropyFromLogits(target: Operand, logits: Operand): Tensor {
  const z = float(logits);
  const cost = subtract(maximum(z, 0), multiply(z, target));
  return add(cost, floatUnary('log1p', floatUnary('exp', negative(emit('abs', [z])))));
}

/** −Σ y log softmax(z) along an axis, from logits. */
export function categoricalCrossentropyFromLogits(target: Operand, logits: Operand, axis = -1): Tensor {
  return negative(sum(multiply(target, logSoftmax(logits, axis)), { axis }));
}

/** −log softmax(z)[class] from logits and integer classes; the class axis is the last. */
export function sparseCategoricalCrossentropyFromLogits(classes: Operand, logits: Operand): Tensor {
  const z = float(logits);
  return negative(sum(multiply(oneHot(classes, z.dims.at(-1)!), logSoftmax(z)), { axis: -1 }));
}
