import type { Config } from '../../config.js';
import type { HistoryNode } from '../../graph/history.js';
import { Scalar } from '../../graph/trace.js';
import { Slice } from './indexing.js';
import type { SavedOperation } from './operations.js';

type Attrs = NonNullable<HistoryNode['operation']['attrs']>;
interface KerasForm {
  name: string;
  config?: Config;
  /** Arguments, where they are not the operands. */
  args?: unknown[];
}

const same = (name: string) => (): KerasForm => ({ name });
const along =
  (name: string) =>
  ({ axis }: Attrs): KerasForm => ({ name, config: { axis } });
const reduction =
  (name: string, more: Config = {}) =>
  ({ axes, keepDims }: Attrs): KerasForm => ({ name, config: { axis: axes, keepdims: keepDims, ...more } });
const arg =
  (name: string) =>
  ({ axis, keepDims }: Attrs): KerasForm => ({ name, config: { axis, keepdims: keepDims } });

const numpy: Record<string, (attrs: Attrs, args: readonly unknown[]) => KerasForm | undefined> = {
  abs: same('Absolute'),
  add: same('Add'),
  argmax: arg('Argmax'),
  argmin: arg('Argmin'),
  ceil: same('Ceil'),
  concat: ({ axis }, args) => ({ name: 'Concatenate', config: { axis }, args: [[...args]] }),
  cos: same('Cos'),
  cumsum: ({ axis, exclusive, reverse }) =>
    exclusive || reverse ? undefined : { name: 'Cumsum', config: { axis, dtype: null } },
  div: same('Divide'),
  equal: same('Equal'),
  exp: same('Exp'),
  expm1: same('Expm1'),
  floor: same('Floor'),
  floorDivide: same('FloorDivide'),
  gather: () => ({ name: 'Take', config: { axis: 0 } }),
  greater: same('Greater'),
  greaterEqual: same('GreaterEqual'),
  isFinite: same('Isfinite'),
  isNan: same('Isnan'),
  less: same('Less'),
  lessEqual: same('LessEqual'),
  log: same('Log'),
  log1p: same('Log1p'),
  logicalAnd: same('LogicalAnd'),
  logicalNot: same('LogicalNot'),
  logicalOr: same('LogicalOr'),
  logicalXor: same('LogicalXor'),
  matmul: ({ transposeA, transposeB }) => (transposeA || transposeB ? undefined : { name: 'Matmul' }),
  maximum: same('Maximum'),
  minimum: same('Minimum'),
  mod: same('Mod'),
  mul: same('Multiply'),
  neg: same('Negative'),
  notEqual: same('NotEqual'),
  pad: ({ padding, value }, args) => {
    const flat = padding as readonly number[];
    const pad_width = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
    return { name: 'Pad', config: { pad_width, mode: 'constant' }, args: [...args, value] };
  },
  pow: same('Power'),
  reciprocal: same('Reciprocal'),
  reduceAll: reduction('All'),
  reduceAny: reduction('Any'),
  reduceMax: reduction('Max', { initial: null }),
  reduceMean: reduction('Mean'),
  reduceMin: reduction('Min', { initial: null }),
  reduceProd: reduction('Prod', { dtype: null }),
  reduceSum: reduction('Sum'),
  reshape: ({ shape, infer }) => {
    // The batch may stand in one place only: Keras knows it as -1.
    const newshape = (shape as readonly number[]).map((dim, i) => (dim < 0 || i === infer ? -1 : dim));
    return newshape.filter((dim) => dim === -1).length > 1 ? undefined : { name: 'Reshape', config: { newshape } };
  },
  round: () => ({ name: 'Round', config: { decimals: 0 } }),
  select: same('Where'),
  sign: same('Sign'),
  sin: same('Sin'),
  slice: ({ axes, begin, size, strides }, [x]) => {
    const [axis, from, count, step] = [axes, begin, size, strides].map((list) => (list as readonly number[])[0]!);
    const all = Array.from({ length: axis! }, () => new Slice(undefined, undefined, undefined));
    const end = from! + count! * step!;
    const key = new Slice(from, end < 0 ? undefined : end, step === 1 ? undefined : step);
    return { name: 'GetItem', args: [x, [...all, key]] };
  },
  sqrt: same('Sqrt'),
  square: same('Square'),
  sub: same('Subtract'),
  tan: same('Tan'),
  tanh: same('Tanh'),
  transpose: ({ perm }) => ({ name: 'Transpose', config: { axes: perm } }),
  trunc: same('Trunc'),
};

const others: Record<string, [module: string, (attrs: Attrs) => KerasForm]> = {
  cast: ['core', ({ dtype }) => ({ name: 'Cast', config: { dtype } })],
  erf: ['math', same('Erf')],
  gelu: ['nn', () => ({ name: 'Gelu', config: { approximate: false } })],
  logSoftmax: ['nn', along('LogSoftmax')],
  oneHot: [
    'nn',
    ({ depth }) => ({ name: 'OneHot', config: { num_classes: depth, axis: -1, dtype: 'float32', sparse: false } }),
  ],
  relu: ['nn', same('Relu')],
  rsqrt: ['math', same('Rsqrt')],
  sigmoid: ['nn', same('Sigmoid')],
  softmax: ['nn', along('Softmax')],
  softplus: ['nn', same('Softplus')],
};

/** A recorded call of a native op in Keras's form, with its arguments; undefined where Keras has none. */
export function nativeOperation(node: HistoryNode): (SavedOperation & { args: unknown[] }) | undefined {
  const { name, attrs = {} } = node.operation;
  const operands = (node.args as unknown[]).map((operand) => (operand instanceof Scalar ? operand.value : operand));
  const [module, form] = Object.hasOwn(numpy, name)
    ? ['numpy', numpy[name]!(attrs, operands)]
    : Object.hasOwn(others, name)
      ? [others[name]![0], others[name]![1](attrs)]
      : ['', undefined];
  if (!form) return undefined;
  const saved = { class_name: form.name, config: form.config ?? {}, registered_name: form.name };
  return { module: `keras.src.ops.${module}`, ...saved, args: form.args ?? operands };
}
