import { Tensor } from '../graph/tensor.js';
import type { DType } from '../native.js';
import * as math from './math.js';
import type { Axis, Operand, ShapeInput } from './operands.js';
import * as reduce from './reduce.js';
import { reshape, transpose } from './shape.js';

/** Formulas read from left to right: `x.mul(scale).add(shift)`. Each method is the op of the same meaning. */
declare module '../graph/tensor.js' {
  interface Tensor {
    add(other: Operand): Tensor;
    sub(other: Operand): Tensor;
    mul(other: Operand): Tensor;
    div(other: Operand): Tensor;
    pow(exponent: Operand): Tensor;
    matmul(other: Operand): Tensor;
    neg(): Tensor;
    abs(): Tensor;
    square(): Tensor;
    sqrt(): Tensor;
    exp(): Tensor;
    log(): Tensor;
    equal(other: Operand): Tensor;
    less(other: Operand): Tensor;
    lessEqual(other: Operand): Tensor;
    greater(other: Operand): Tensor;
    greaterEqual(other: Operand): Tensor;
    sum(axis?: Axis): Tensor;
    mean(axis?: Axis): Tensor;
    max(axis?: Axis): Tensor;
    min(axis?: Axis): Tensor;
    reshape(shape: ShapeInput): Tensor;
    transpose(perm?: readonly number[]): Tensor;
    cast(dtype: DType): Tensor;
  }
}

const two = {
  add: math.add,
  sub: math.subtract,
  mul: math.multiply,
  div: math.divide,
  pow: math.power,
  matmul: math.matmul,
};
const compare = {
  equal: math.equal,
  less: math.less,
  lessEqual: math.lessEqual,
  greater: math.greater,
  greaterEqual: math.greaterEqual,
};
const one = { neg: math.negative, abs: math.abs, square: math.square, sqrt: math.sqrt, exp: math.exp, log: math.log };
const reductions = { sum: reduce.sum, mean: reduce.mean, max: reduce.max, min: reduce.min };

const methods: Record<string, (this: Tensor, ...args: never[]) => Tensor> = {
  reshape(shape: ShapeInput) {
    return reshape(this, shape);
  },
  transpose(perm?: readonly number[]) {
    return transpose(this, perm);
  },
  cast(dtype: DType) {
    return math.cast(this, dtype);
  },
};
for (const [name, op] of Object.entries({ ...two, ...compare })) {
  methods[name] = function (this: Tensor, other: Operand) {
    return op(this, other);
  };
}
for (const [name, op] of Object.entries(one)) {
  methods[name] = function (this: Tensor) {
    return op(this);
  };
}
for (const [name, op] of Object.entries(reductions)) {
  methods[name] = function (this: Tensor, axis?: Axis) {
    return op(this, { axis });
  };
}
for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true });
}
