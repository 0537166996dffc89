import type { DType } from '../../../lib/native.js';
import type { Attrs, ErrorCase } from '../case.js';

// What an op refuses, with the stable code and the part of the message that names the mistake.

const f = (...shape: number[]) => ({ dtype: 'float32' as DType, shape });
const i = (...shape: number[]) => ({ dtype: 'int32' as DType, shape });
const b = (...shape: number[]) => ({ dtype: 'bool' as DType, shape });
const i8 = (...shape: number[]) => ({ dtype: 'int8' as DType, shape });
const u = (...shape: number[]) => ({ dtype: 'uint32' as DType, shape });

const shapeError = (
  op: string,
  about: string,
  inputs: ErrorCase['inputs'],
  message: RegExp,
  attrs?: Attrs,
): ErrorCase => ({
  op,
  about,
  inputs,
  code: 'ERR_CHAINRULE_SHAPE',
  message,
  ...(attrs ? { attrs } : {}),
});
const typeError = (op: string, about: string, inputs: ErrorCase['inputs'], attrs?: Attrs): ErrorCase => ({
  op,
  about,
  inputs,
  code: 'ERR_CHAINRULE_DTYPE',
  message: /cast|dtype/,
  ...(attrs ? { attrs } : {}),
});

const conv = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1 };
const pool = { size: [2, 2], strides: [2, 2], padding: [0, 0, 0, 0] };
const reduce = { axes: [2], keepDims: false };

export const errorCases: ErrorCase[] = [
  shapeError('add', 'sizes that do not broadcast', [f(-1, 3), f(4)], /\[N, 3\].*\[4\]/),
  shapeError('add', 'the batch against a number', [f(-1), f(5)], /broadcast/),
  typeError('add', 'two dtypes', [f(3), i(3)]),
  typeError('exp', 'int32', [i(3)]),
  typeError('mul', 'bool', [b(3), b(3)]),
  typeError('select', 'a condition of floats', [f(3), f(3), f(3)]),
  typeError('select', 'branches of two dtypes', [b(3), f(3), i(3)]),
  typeError('logicalAnd', 'floats', [f(3), f(3)]),
  typeError('cast', 'an unknown dtype', [f(3)], { dtype: 'complex64' }),
  shapeError('reduceSum', 'no such axis', [f(-1, 3)], /axis 2 is out of range/, reduce),
  typeError('reduceMean', 'int32', [i(3)], { axes: [0], keepDims: false }),
  typeError('reduceAny', 'floats', [f(3)], { axes: [0], keepDims: false }),
  shapeError('argmax', 'no such axis', [f(3)], /axis 1 is out of range/, { axis: 1, keepDims: false }),
  shapeError('argmax', 'an empty axis', [f(2, 0)], /empty/, { axis: 1, keepDims: false }),
  shapeError('standardize', 'the batch', [f(-1, 3)], /batch/, { axes: 2 }),
  shapeError('standardize', 'too many axes', [f(3)], /last 2 axes/, { axes: 2 }),
  shapeError('softmax', 'no such axis', [f(3)], /axis 4/, { axis: 4 }),
  shapeError('cumsum', 'a negative axis', [f(3)], /axis -1/, { axis: -1, exclusive: false, reverse: false }),
  typeError('add', 'int8', [i8(3), i8(3)]),
  typeError('cast', 'int8', [i8(3)], { dtype: 'float32' }),
  typeError('cast', 'to int8', [f(3)], { dtype: 'int8' }),
  typeError('matmulInt8', 'weights of floats', [f(-1, 3), f(3, 4), f(4)]),
  shapeError('matmulInt8', 'inner dimensions', [f(-1, 3), i8(5, 4), f(4)], /\[5, 4\].*\[N, 3\]/),
  shapeError('matmulInt8', 'sums too long', [f(-1, 200_000), i8(200_000, 1), f(1)], /1 to 133144 rows/),
  shapeError(
    'conv2dInt8',
    'another number of channels',
    [f(-1, 5, 5, 2), i8(27, 4), f(4)],
    /a window of 3 x 3 has 18 numbers/,
    { ...conv, window: [3, 3] },
  ),
  shapeError('gatherInt8', 'no scale for each row', [i8(5, 4), i(-1), f(4)], /\[5, 4\] and \[4\]/),
  shapeError('matmul', 'inner dimensions', [f(32, 784), f(800, 64)], /784.*800/, {
    transposeA: false,
    transposeB: false,
  }),
  shapeError('matmul', 'a vector', [f(3), f(3, 2)], /dimension/, { transposeA: false, transposeB: false }),
  typeError('matmul', 'int32', [i(3, 3), i(3, 3)], { transposeA: false, transposeB: false }),
  shapeError('conv2d', 'channels', [f(-1, 8, 8, 3), f(3, 3, 4, 8)], /channels/, conv),
  shapeError('conv2d', 'three dimensions', [f(-1, 8, 8), f(3, 3, 8, 8)], /4 dimensions/, conv),
  shapeError('conv2d', 'a window too large', [f(-1, 2, 2, 3), f(3, 3, 3, 8)], /window of 3.*2/, conv),
  shapeError('conv2d', 'groups that do not divide', [f(-1, 8, 8, 4), f(3, 3, 2, 5)], /group/, { ...conv, groups: 2 }),
  shapeError('conv2d', 'a stride of 0', [f(-1, 8, 8, 4), f(3, 3, 4, 5)], /at least 1/, { ...conv, strides: [0, 1] }),
  shapeError('conv2d', 'no groups', [f(-1, 8, 8, 4), f(3, 3, 4, 5)], /group/, { ...conv, groups: 0 }),
  shapeError('conv2d', 'negative padding', [f(-1, 8, 8, 4), f(3, 3, 4, 5)], /padding/, {
    ...conv,
    padding: [-1, 0, 0, 0],
  }),
  shapeError('maxPool', 'a window too large', [f(-1, 1, 8, 3)], /window of 2/, pool),
  shapeError('maxPool', 'a size of 0', [f(-1, 8, 8, 3)], /at least 1/, { ...pool, size: [0, 2] }),
  shapeError('avgPool', 'three dimensions', [f(-1, 8, 3)], /4 dimensions/, pool),
  typeError('maxPool', 'int32', [i(-1, 8, 8, 3)], pool),
  shapeError('argsort', 'no such axis', [f(3)], /axis 1/, { axis: 1, descending: false }),
  typeError('argsort', 'bool', [b(3)], { axis: 0, descending: false }),
  shapeError('conv2dInput', 'outputs of another size', [f(-1, 3, 3, 4), f(3, 3, 2, 4)], /does not give/, {
    ...conv,
    shape: [-1, 6, 5, 2],
  }),
  shapeError('conv2dInput', 'channels', [f(-1, 3, 3, 5), f(3, 3, 2, 4)], /does not take/, {
    ...conv,
    shape: [-1, 5, 5, 2],
  }),
  shapeError('solve', 'no square', [f(-1, 2, 3), f(-1, 2, 1)], /square/),
  shapeError('solve', 'other rows', [f(-1, 3, 3), f(-1, 2, 1)], /do not fit/),
  shapeError('svd', 'a vector', [f(3)], /matrices/),
  shapeError('gather', 'a scalar table', [f(), i(3)], /scalar/),
  typeError('gather', 'indices of floats', [f(3, 2), f(3)]),
  typeError('oneHot', 'floats', [f(3)], { depth: 2 }),
  shapeError('slice', 'outside', [f(-1, 3)], /outside axis 1/, { axes: [1], begin: [1], size: [3], strides: [1] }),
  shapeError('slice', 'a stride of 0', [f(-1, 3)], /stride of 0/, { axes: [1], begin: [1], size: [2], strides: [0] }),
  shapeError('slice', 'lists of two lengths', [f(-1, 3)], /one entry/, {
    axes: [1],
    begin: [1, 2],
    size: [2],
    strides: [1],
  }),
  shapeError('slice', 'no such axis', [f(-1, 3)], /axis 3/, { axes: [3], begin: [0], size: [1], strides: [1] }),
  shapeError('concat', 'other axes differ', [f(-1, 3), f(-1, 3, 1)], /agree/, { axis: 1 }),
  typeError('concat', 'two dtypes', [f(-1, 3), i(-1, 3)], { axis: 1 }),
  shapeError('pad', 'too few entries', [f(2, 3)], /two entries/, { padding: [1, 1], value: 0 }),
  shapeError('pad', 'negative', [f(2, 3)], /negative/, { padding: [0, 0, -1, 0], value: 0 }),
  shapeError('pad', 'the batch', [f(-1, 3)], /batch/, { padding: [1, 0, 0, 0], value: 0 }),
  shapeError('transpose', 'an axis twice', [f(2, 3)], /order/, { perm: [1, 1] }),
  shapeError('transpose', 'an axis missing', [f(2, 3)], /entry/, { perm: [0] }),
  shapeError('reshape', 'another number of elements', [f(-1, 6)], /cannot reshape \[N, 6\]/, {
    shape: [-1, 5],
    infer: -1,
  }),
  shapeError('reshape', 'nothing to infer', [f(-1, 7)], /divide/, { shape: [-1, 2, 1], infer: 2 }),
  shapeError('broadcastTo', 'a smaller size', [f(3)], /broadcast/, { shape: [2] }),
  shapeError('randomUniform', 'a seed of another shape', [u(2)], /shape \[3\]/, { shape: [4], low: 0, high: 1 }),
  typeError('randomNormal', 'a seed of floats', [f(3)], { shape: [4], mean: 0, stddev: 1 }),
  {
    op: 'dropout',
    about: 'a rate above 1',
    inputs: [f(-1, 3), u(3)],
    attrs: { rate: 1.5 },
    code: 'ERR_CHAINRULE_VALUE',
    message: /rate must be between 0 and 1/,
  },
  shapeError('lstm', 'a kernel of three gates', [f(-1, 5, 3), f(3, 12), f(4, 16)], /kernel must be \[3, 16\]/),
  shapeError('gru', 'a batch along time', [f(3, -1, 3), f(3, 12), f(4, 12)], /time steps .* must be known/),
  shapeError('gru', 'one bias for two', [f(-1, 5, 3), f(3, 12), f(4, 12), f(12)], /bias must be \[2, 12\]/, {
    bias: true,
  }),
  shapeError('simpleRnn', 'a matrix', [f(-1, 3), f(3, 4), f(4, 4)], /3 dimensions/),
  shapeError('lstm', 'a state of other rows', [f(-1, 5, 3), f(3, 16), f(4, 16), f(-1, 4), f(2, 4)], /initial state/, {
    state: true,
  }),
  shapeError('attention', 'three dimensions', [f(-1, 5, 3), f(-1, 5, 3), f(-1, 5, 3)], /4 dimensions/),
  shapeError('attention', 'heads that do not divide', [f(-1, 5, 4, 3), f(-1, 5, 3, 3), f(-1, 5, 3, 3)], /must divide/),
  shapeError('attention', 'keys of another size', [f(-1, 5, 2, 3), f(-1, 5, 2, 4), f(-1, 5, 2, 3)], /same size/),
  shapeError('attention', 'a value of another length', [f(-1, 5, 2, 3), f(-1, 5, 2, 3), f(-1, 4, 2, 3)], /same length/),
  shapeError(
    'attention',
    'a mask of other queries',
    [f(-1, 5, 2, 3), f(-1, 5, 2, 3), f(-1, 5, 2, 3), b(1, 1, 4, 5)],
    /mask must broadcast to \[N, 2, 5, 5\]/,
    { mask: true },
  ),
  typeError('attention', 'a mask of numbers', [f(-1, 5, 2, 3), f(-1, 5, 2, 3), f(-1, 5, 2, 3), f(1, 1, 5, 5)], {
    mask: true,
  }),
  typeError('simpleRnn', 'a mask of numbers', [f(-1, 5, 3), f(3, 4), f(4, 4), f(-1, 5)], { mask: true }),
];
