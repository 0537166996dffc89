import { between, bits, bool, cycle, f32, i32, integers, type OpCase, u8, u32 } from '../case.js';
import { elementwise, type Scalar } from './scalar.js';

// Elementwise ops again: broadcasting of every kind, the integer and bool variants, casts, and the special numbers.

const small = integers(-9, 9);
const add = elementwise((a, b) => a + b);
const mul = elementwise((a, b) => a * b);

const pairs: [string, number[], number[]][] = [
  ['row vector', [-1, 5], [5]],
  ['column', [-1, 9], [-1, 1]],
  ['scalar', [-1, 4, 3], []],
  ['one batch for all', [-1, 3], [1, 3]],
  ['middle axis', [2, 1, 3], [2, 4, 3]],
  ['outer product', [-1, 1], [1, 17]],
  ['both sides', [3, 1, 5, 1], [1, 2, 1, 4]],
  ['missing axes', [4], [2, 3, 4]],
  ['an empty axis', [-1, 0], [1, 1]],
  ['long rows', [-1, 33], [33]],
];

const broadcasts = pairs.flatMap(([about, a, b]) =>
  Object.entries({ add, mul }).map(
    ([op, reference]): OpCase => ({
      op,
      about: `broadcast: ${about}`,
      inputs: [f32(a, small), f32(b, small)],
      rows: [1, 3, 8],
      reference,
      exactness: 'exact',
      wrt: [0, 1],
      gradientExactness: 'exact',
      integers: true,
    }),
  ),
);

const integerOps: Record<string, Scalar> = {
  neg: (a) => -a,
  abs: Math.abs,
  sign: Math.sign,
  // int32 wraps around.
  square: (a) => Math.imul(a, a),
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  floorDivide: (a, b) => Math.floor(a / b),
  mod: (a, b) => a - b * Math.floor(a / b),
  minimum: (a, b) => Math.min(a, b),
  maximum: (a, b) => Math.max(a, b),
};
const integerComparisons: Record<string, Scalar> = {
  equal: (a, b) => Number(a === b),
  notEqual: (a, b) => Number(a !== b),
  less: (a, b) => Number(a < b),
  lessEqual: (a, b) => Number(a <= b),
  greater: (a, b) => Number(a > b),
  greaterEqual: (a, b) => Number(a >= b),
};
const divisors = cycle([3, -2, 7, -5, 1]);
const wide = cycle([17, -17, 0, 6, -1, 99999, -40000, 3]);

const onIntegers = Object.entries({ ...integerOps, ...integerComparisons }).map(
  ([op, f]): OpCase => ({
    op,
    about: 'int32',
    inputs: [i32([-1, 3], wide), ...(f.length > 1 ? [i32([-1, 3], divisors)] : [])],
    rows: [1, 5, 11],
    reference: elementwise(f),
    exactness: 'exact',
    output: op in integerComparisons ? 'bool' : 'int32',
  }),
);

const logic: Record<string, Scalar> = {
  logicalNot: (a) => 1 - a,
  logicalAnd: (a, b) => a & b,
  logicalOr: (a, b) => a | b,
  logicalXor: (a, b) => a ^ b,
};
const onBools = Object.entries(logic).map(
  ([op, f]): OpCase => ({
    op,
    about: 'every size',
    inputs: [bool([-1], bits), ...(f.length > 1 ? [bool([-1], bits)] : [])],
    rows: [1, 7, 8, 16, 17, 33, 65],
    reference: elementwise(f),
    exactness: 'exact',
    output: 'bool',
  }),
);

const choose = elementwise((a, b, c) => (a ? b : c));
const selects: OpCase[] = [
  {
    op: 'select',
    about: 'every size',
    inputs: [bool([-1], bits), f32([-1], small), f32([-1], small)],
    rows: [1, 7, 8, 17, 33, 65],
    reference: choose,
    exactness: 'exact',
    wrt: [1, 2],
    gradientExactness: 'exact',
    integers: true,
  },
  {
    op: 'select',
    about: 'everything broadcast',
    inputs: [bool([-1, 1], bits), f32([5], small), f32([], small)],
    rows: [1, 6],
    reference: choose,
    exactness: 'exact',
    wrt: [1, 2],
    gradientExactness: 'exact',
    integers: true,
  },
  {
    op: 'select',
    about: 'int32',
    inputs: [bool([-1, 3], bits), i32([-1, 3], small), i32([3], small)],
    rows: [4],
    reference: choose,
    exactness: 'exact',
    output: 'int32',
  },
];

const special = cycle([Number.NaN, Infinity, -Infinity, 0, -0, 1, -1, 3e38, -3e38, 1e-30]);
const shifted = cycle([0, 1, Number.NaN, -Infinity, Infinity, -0, 2]);
const specials: [string, Scalar][] = [
  ['add', (a, b) => a + b],
  ['mul', (a, b) => a * b],
  ['div', (a, b) => a / b],
  ['equal', (a, b) => Number(a === b)],
  ['less', (a, b) => Number(a < b)],
  ['notEqual', (a, b) => Number(a !== b)],
];
const onSpecials = specials.map(
  ([op, f]): OpCase => ({
    op,
    about: 'NaN, infinities and zeros',
    inputs: [f32([-1], special), f32([-1], shifted)],
    rows: [70],
    reference: elementwise(f),
    exactness: 'exact',
    output: op.length > 3 ? 'bool' : 'float32',
  }),
);
const limits: [string, Scalar][] = [
  ['exp', Math.exp],
  ['log', Math.log],
  ['tanh', Math.tanh],
  ['sigmoid', (a) => 1 / (1 + Math.exp(-a))],
  ['sqrt', Math.sqrt],
  [
    'erf',
    (a) => (Math.abs(a) < 1e-20 ? a * 1.1283791670955126 : Math.abs(a) === 1 ? a * 0.8427007929497149 : Math.sign(a)),
  ],
];
const atLimits = limits.map(
  ([op, f]): OpCase => ({
    op,
    about: 'NaN, infinities and zeros',
    inputs: [f32([-1], special)],
    rows: [10],
    reference: elementwise(f),
    exactness: { ulps: 3 },
  }),
);

const fractions = cycle([-2.7, -1, -0.3, 0, 0.3, 1.9, 250.4, 7]);
const counts = cycle([0, 1, 2, 255, 77, 3, 5]);
const casts: OpCase[] = [
  ['float32', 'int32', f32([-1], fractions), Math.trunc],
  ['float32', 'bool', f32([-1], fractions), (a: number) => Number(a !== 0)],
  ['int32', 'float32', i32([-1], wide), (a: number) => a],
  ['int32', 'bool', i32([-1], wide), (a: number) => Number(a !== 0)],
  ['int32', 'uint8', i32([-1], counts), (a: number) => a],
  ['uint8', 'float32', u8([-1], counts), (a: number) => a],
  ['uint8', 'int32', u8([-1], counts), (a: number) => a],
  ['bool', 'float32', bool([-1], bits), (a: number) => a],
  ['bool', 'int32', bool([-1], bits), (a: number) => a],
  ['uint32', 'float32', u32([-1], counts), (a: number) => a],
  ['uint32', 'int32', u32([-1], counts), (a: number) => a],
  ['float32', 'uint32', f32([-1], counts), (a: number) => a],
].map(([from, to, input, f]): OpCase => {
  const output = to as 'float32';
  return {
    op: 'cast',
    about: `${from} to ${to}`,
    inputs: [input as OpCase['inputs'][0]],
    attrs: { dtype: output },
    rows: [1, 7, 16, 33],
    reference: elementwise(f as Scalar),
    exactness: 'exact',
    output,
  };
});
casts.push({
  op: 'cast',
  about: 'float32 to float32 passes the gradient',
  inputs: [f32([-1], between(-2, 2))],
  attrs: { dtype: 'float32' },
  rows: [5],
  reference: elementwise((a) => a),
  exactness: 'exact',
  wrt: [0],
  gradientExactness: 'norm',
});

export const broadcastCases: OpCase[] = [
  ...broadcasts,
  ...onIntegers,
  ...onBools,
  ...selects,
  ...onSpecials,
  ...atLimits,
  ...casts,
];
