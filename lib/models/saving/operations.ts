import * as activations from '../../activations/index.js';
import type { Config } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { stopGradient } from '../../graph/grad.js';
import { type HistoryNode, type Operation, record } from '../../graph/history.js';
import type { Tensor } from '../../graph/tensor.js';
import type { DType } from '../../native.js';
import * as ops from '../../ops/index.js';
import type { Operand } from '../../ops/operands.js';
import { getItem } from './indexing.js';

/** An op in Keras's form: what a functional model of Keras holds beside its layers. */
export interface SavedOperation {
  module: string;
  class_name: string;
  config: Config;
  registered_name: string | null;
}

/** What a call gives; rows take as many as they need, lists and plain values included. */
type Args = readonly [Tensor, Tensor, Tensor];
type Apply = (args: Args, config: Config) => unknown;
interface Row {
  apply: Apply;
  /** Arguments of the constructor, which stand in the config. */
  options: readonly string[];
}

const row = (apply: Apply, ...options: string[]): Row => ({ apply, options });
const unary = (op: (x: Tensor) => Tensor): Row => row(([x]) => op(x));
const binary = (op: (a: Operand, b: Operand) => Tensor): Row => row(([a, b]) => op(a, b));

type AxisValue = number | readonly number[] | undefined;
const axisOf = (config: Config): AxisValue => (config.axis ?? undefined) as AxisValue;

const reduction = (op: (x: Operand, options: ops.ReduceOptions) => Tensor): Row =>
  row(([x], config) => op(x, { axis: axisOf(config), keepdims: config.keepdims === true }), 'axis', 'keepdims');
const arg = (op: typeof ops.argmax): Row =>
  row(
    ([x], config) =>
      op(x, {
        ...(typeof config.axis === 'number' && { axis: config.axis }),
        keepdims: config.keepdims === true,
      }),
    'axis',
    'keepdims',
  );
/** A constructor argument with the only value that is supported. */
const only = (where: string, config: Config, key: string, ...allowed: unknown[]): void => {
  if (!allowed.includes(config[key] ?? null))
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `${where}: ${key} = ${JSON.stringify(config[key])} is not supported.`,
    );
};
const like = (value: (x: Tensor) => Tensor): Row =>
  row(([x], { dtype }) => (dtype ? ops.cast(value(x), dtype as DType) : value(x)), 'dtype');

function permutation(rank: number, moved: readonly number[], to: readonly number[]): number[] {
  const order = Array.from({ length: rank }, (_, i) => i).filter((i) => !moved.includes(i));
  const pairs = to.map((place, i) => [place, moved[i]!] as const).sort((a, b) => a[0] - b[0]);
  for (const [place, axis] of pairs) order.splice(place, 0, axis);
  return order;
}

const list = (value: unknown): number[] => (Array.isArray(value) ? (value as number[]) : [value as number]);
const positive = (axes: number[], rank: number): number[] => axes.map((axis) => (axis < 0 ? axis + rank : axis));

const numpy: Record<string, Row> = {
  Absolute: unary(ops.abs),
  Abs: unary(ops.abs),
  Add: binary(ops.add),
  All: reduction(ops.all),
  Amax: reduction(ops.max),
  Amin: reduction(ops.min),
  Any: reduction(ops.any),
  Argmax: arg(ops.argmax),
  Argmin: arg(ops.argmin),
  Ceil: unary(ops.ceil),
  Clip: row(([x], { x_min, x_max }) => ops.clip(x, x_min as number, x_max as number), 'x_min', 'x_max'),
  Concatenate: row(([xs], { axis }) => ops.concatenate(xs as unknown as Tensor[], (axis ?? 0) as number), 'axis'),
  Copy: unary((x) => ops.add(x, 0)),
  Cos: unary(ops.cos),
  Cumsum: row(
    ([x], config) => {
      only('Cumsum', config, 'dtype', null, 'float32', 'int32');
      const { axis } = config;
      const flat = axis === null || axis === undefined ? ops.reshape(x, [-1]) : x;
      return ops.cumsum(flat, { axis: (axis ?? 0) as number });
    },
    'axis',
    'dtype',
  ),
  Divide: binary(ops.divide),
  Equal: binary(ops.equal),
  Exp: unary(ops.exp),
  ExpandDims: row(
    ([x], { axis }) =>
      list(axis)
        .sort((a, b) => a - b)
        .reduce<Tensor>((value, one) => ops.expandDims(value, one), x),
    'axis',
  ),
  Expm1: unary(ops.expm1),
  Flip: row(([x], { axis }) => {
    const value = x;
    const over = axis === null || axis === undefined ? value.dims.map((_, i) => i) : list(axis);
    return over.reduce<Tensor>((flipped, one) => ops.flip(flipped, one), value);
  }, 'axis'),
  Floor: unary(ops.floor),
  FloorDivide: binary((a, b) => ops.floor(ops.divide(a, b))),
  GetItem: row(([x, key]) => getItem(x, key)),
  Greater: binary(ops.greater),
  GreaterEqual: binary(ops.greaterEqual),
  Isfinite: unary(ops.isfinite),
  Isinf: unary(ops.isinf),
  Isnan: unary(ops.isnan),
  Less: binary(ops.less),
  LessEqual: binary(ops.lessEqual),
  Log: unary(ops.log),
  Log10: unary((x) => ops.multiply(ops.log(x), Math.LOG10E)),
  Log1p: unary(ops.log1p),
  Log2: unary((x) => ops.multiply(ops.log(x), Math.LOG2E)),
  LogicalAnd: binary(ops.logicalAnd),
  LogicalNot: unary(ops.logicalNot),
  LogicalOr: binary(ops.logicalOr),
  LogicalXor: binary(ops.logicalXor),
  Matmul: binary((a, b) => ops.matmul(a, b)),
  Max: row(
    ([x], config) => {
      only('Max', config, 'initial', null);
      return ops.max(x, { axis: axisOf(config), keepdims: config.keepdims === true });
    },
    'axis',
    'keepdims',
    'initial',
  ),
  Maximum: binary(ops.maximum),
  Mean: reduction(ops.mean),
  Min: row(
    ([x], config) => {
      only('Min', config, 'initial', null);
      return ops.min(x, { axis: axisOf(config), keepdims: config.keepdims === true });
    },
    'axis',
    'keepdims',
    'initial',
  ),
  Minimum: binary(ops.minimum),
  Mod: binary(ops.mod),
  Moveaxis: row(
    ([x], { source, destination }) => {
      const value = x;
      const [from, to] = [positive(list(source), value.rank), positive(list(destination), value.rank)];
      return ops.transpose(value, permutation(value.rank, from, to));
    },
    'source',
    'destination',
  ),
  Multiply: binary(ops.multiply),
  Negative: unary(ops.negative),
  NotEqual: binary(ops.notEqual),
  OnesLike: like(ops.onesLike),
  Pad: row(
    ([x, value], config) => {
      const width = config.pad_width as number | number[] | [number, number][];
      const { rank } = x;
      const each = Array.isArray(width) ? (Array.isArray(width[0]) ? width : [width]) : [[width, width]];
      const full = each.length === rank ? each : Array.from({ length: rank }, () => each[0]!);
      const mode = (config.mode as ops.PadOptions['mode'] | null) ?? 'constant';
      return ops.pad(x, full as [number, number][], { mode, constantValues: Number(value ?? 0) });
    },
    'pad_width',
    'mode',
  ),
  Power: binary(ops.power),
  Prod: row(
    ([x], config) => {
      only('Prod', config, 'dtype', null, 'float32');
      return ops.prod(x, { axis: axisOf(config), keepdims: config.keepdims === true });
    },
    'axis',
    'keepdims',
    'dtype',
  ),
  Reciprocal: unary(ops.reciprocal),
  Repeat: row(
    ([x], { repeats, axis }) => {
      const whole = axis === null || axis === undefined;
      return ops.repeat(whole ? ops.reshape(x, [-1]) : x, repeats as number, (axis ?? 0) as number);
    },
    'repeats',
    'axis',
  ),
  Reshape: row(
    ([x], { newshape }) =>
      ops.reshape(
        x,
        list(newshape).map((dim) => dim ?? -1),
      ),
    'newshape',
  ),
  Round: row(([x], config) => {
    only('Round', config, 'decimals', null, 0);
    return ops.round(x);
  }, 'decimals'),
  Sign: unary(ops.sign),
  Sin: unary(ops.sin),
  Split: row(
    ([x], { indices_or_sections, axis }) =>
      ops.split(x, indices_or_sections as number | number[], (axis ?? 0) as number),
    'indices_or_sections',
    'axis',
  ),
  Sqrt: unary(ops.sqrt),
  Square: unary(ops.square),
  Squeeze: row(([x], { axis }) => {
    if (axis === null || axis === undefined) return ops.squeeze(x);
    const axes = positive(list(axis), x.rank).sort((a, b) => b - a);
    return axes.reduce<Tensor>((value, one) => ops.squeeze(value, one), x);
  }, 'axis'),
  Stack: row(([xs], { axis }) => ops.stack(xs as unknown as Tensor[], (axis ?? 0) as number), 'axis'),
  Std: reduction(ops.std),
  Subtract: binary(ops.subtract),
  Sum: reduction(ops.sum),
  Swapaxes: row(
    ([x], { axis1, axis2 }) => {
      const value = x;
      const [a, b] = positive([axis1 as number, axis2 as number], value.rank) as [number, number];
      return ops.transpose(
        value,
        value.dims.map((_, i) => (i === a ? b : i === b ? a : i)),
      );
    },
    'axis1',
    'axis2',
  ),
  Take: row(([x, indices], { axis }) => {
    const whole = axis === null || axis === undefined;
    return ops.take(whole ? ops.reshape(x, [-1]) : x, indices, (axis ?? 0) as number);
  }, 'axis'),
  Tan: unary(ops.tan),
  Tanh: unary(ops.tanh),
  Tile: row(([x], { repeats }) => ops.tile(x, list(repeats)), 'repeats'),
  Transpose: row(
    ([x], { axes }) => ops.transpose(x, axes === null || axes === undefined ? undefined : list(axes)),
    'axes',
  ),
  TrueDivide: binary(ops.divide),
  Trunc: unary(ops.trunc),
  Var: reduction(ops.variance),
  Where: row(([condition, a, b]) => ops.where(condition, a, b)),
  ZerosLike: like(ops.zerosLike),
};

const nn: Record<string, Row> = {
  Elu: row(([x], { alpha }) => activations.elu(x, { alpha: (alpha ?? 1) as number }), 'alpha'),
  Gelu: row(([x], { approximate }) => activations.gelu(x, { approximate: approximate !== false }), 'approximate'),
  HardSigmoid: unary(activations.hardSigmoid),
  HardSilu: unary(activations.hardSilu),
  LeakyRelu: row(
    ([x], { negative_slope }) => activations.leakyRelu(x, { negativeSlope: (negative_slope ?? 0.2) as number }),
    'negative_slope',
  ),
  LogSigmoid: unary(activations.logSigmoid),
  LogSoftmax: row(([x], { axis }) => ops.logSoftmax(x, (axis ?? -1) as number), 'axis'),
  OneHot: row(
    ([x], config) => {
      only('OneHot', config, 'sparse', null, false);
      only('OneHot', config, 'dtype', null, 'float32');
      return ops.oneHot(x, config.num_classes as number, (config.axis ?? -1) as number);
    },
    'num_classes',
    'axis',
    'dtype',
    'sparse',
  ),
  Relu: unary(ops.relu),
  Relu6: unary(activations.relu6),
  Selu: unary(activations.selu),
  Sigmoid: unary(ops.sigmoid),
  Silu: unary(activations.silu),
  Softmax: row(([x], { axis }) => ops.softmax(x, (axis ?? -1) as number), 'axis'),
  Softplus: unary(ops.softplus),
  Softsign: unary(activations.softsign),
};

const core: Record<string, Row> = {
  Cast: row(([x], { dtype }) => ops.cast(x, dtype as DType), 'dtype'),
  StopGradient: unary((x) => stopGradient(x)),
};

const math: Record<string, Row> = {
  Erf: unary(ops.erf),
  Logsumexp: reduction(ops.logsumexp),
  Rsqrt: unary(ops.rsqrt),
};

const tables: Record<string, Record<string, Row>> = { numpy, nn, core, math };

/** The row of an op of Keras, or undefined for one that is not in the closed table. */
export function findOperation(module: unknown, className: string): Row | undefined {
  const short = typeof module === 'string' ? /^keras\.src\.ops\.([a-z]+)$/.exec(module)?.[1] : undefined;
  const table = short !== undefined && Object.hasOwn(tables, short) ? tables[short] : undefined;
  return table && Object.hasOwn(table, className) ? table[className] : undefined;
}

interface KerasOperation extends Operation {
  saved: SavedOperation;
}

/** Records a call of Keras's op on symbolic tensors: it stays one call, and is saved as it was. */
export function callOperation(saved: SavedOperation, args: readonly unknown[]): unknown {
  const found = findOperation(saved.module, saved.class_name)!;
  const operation: KerasOperation = {
    name: String(saved.config.name ?? saved.class_name),
    saved,
    replay: (live) => found.apply(live as Args, saved.config),
  };
  return record(operation, args);
}

/** The op of Keras that a recorded call stands for, where it came from a file. */
export function savedOperation(node: HistoryNode): SavedOperation | undefined {
  return (node.operation as Partial<KerasOperation>).saved;
}
