import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
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

export type Padding = 'valid' | 'same';
type Pair = number | readonly [number, number];

export interface ConvOptions {
  strides?: Pair;
  padding?: Padding;
  dilationRate?: Pair;
  groups?: number;
}

const pair = (value: Pair): [number, number] => (typeof value === 'number' ? [value, value] : [value[0], value[1]]);

/** TensorFlow's rule: what `same` adds before and after an axis; the odd pixel goes to the end. */
export function samePadding(size: number, window: number, stride: number, dilation = 1): [number, number] {
  const out = Math.ceil(size / stride);
  const total = Math.max((out - 1) * stride + (window - 1) * dilation + 1 - size, 0);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
}

function windowPadding(
  op: string,
  x: Tensor,
  window: [number, number],
  strides: [number, number],
  dilations: [number, number],
  padding: Padding,
): number[] {
  if (padding === 'valid') return [0, 0, 0, 0];
  const [height, width] = [x.dims[1]!, x.dims[2]!];
  if (height < 0 || width < 0)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `${op}: padding "same" needs known height and width, got ${shapeText(x.shape)}.`,
    );
  return [
    ...samePadding(height, window[0], strides[0], dilations[0]),
    ...samePadding(width, window[1], strides[1], dilations[1]),
  ];
}

/** Convolution over height and width: x [N, h, w, in], kernel [kh, kw, in / groups, out]. */
export function conv2d(
  x: Operand,
  kernel: Operand,
  { strides = 1, padding = 'valid', dilationRate = 1, groups = 1 }: ConvOptions = {},
): Tensor {
  const [value, weights] = [float(x), tensor(kernel)];
  needRank('conv2d', value, 4);
  needRank('conv2d', weights, 4);
  const [stride, dilation] = [pair(strides), pair(dilationRate)];
  const window: [number, number] = [weights.dims[0]!, weights.dims[1]!];
  return emit('conv2d', [value, weights], {
    strides: stride,
    dilations: dilation,
    padding: windowPadding('conv2d', value, window, stride, dilation, padding),
    groups,
  });
}

export interface PoolOptions {
  /** The pool size when absent. */
  strides?: Pair;
  padding?: Padding;
}

/** The largest element of each window of [N, h, w, c]. */
export const maxPool2d = (x: Operand, poolSize: Pair, options: PoolOptions = {}): Tensor =>
  pool('maxPool', x, poolSize, options);
/** The mean of each window; padding is not counted. */
export const averagePool2d = (x: Operand, poolSize: Pair, options: PoolOptions = {}): Tensor =>
  pool('avgPool', x, poolSize, options);

function pool(op: string, x: Operand, poolSize: Pair, { strides = poolSize, padding = 'valid' }: PoolOptions): Tensor {
  const value = float(x);
  needRank(op, value, 4);
  const [size, stride] = [pair(poolSize), pair(strides)];
  return emit(op, [value], { size, strides: stride, padding: windowPadding(op, value, size, stride, [1, 1], padding) });
}

function needRank(op: string, x: Tensor, rank: number): void {
  if (x.rank === rank) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: expected ${rank} dimensions, got shape ${shapeText(x.shape)}.`,
  );
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
