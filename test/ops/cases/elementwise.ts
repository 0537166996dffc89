import { type Argument, awayFromZero, between, cycle, type Exactness, type Fill, f32, type OpCase } from '../case.js';
import { elementwise, erf, type Scalar } from './scalar.js';

// One row per elementwise op of float32: every remainder of a vector in one symbolic axis.
const sizes = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65];

interface Row {
  reference: Scalar;
  /** One fill per operand; also fixes the number of operands. */
  domain: Fill[];
  exactness: Exactness;
  /** Operands with a derivative; none unless said. */
  wrt?: number[];
  output?: 'bool';
}

const real = between(-3, 3);
const any = between(-8, 8);
const positive = between(0.05, 9);
const pole = awayFromZero(0.3, 3);
const whole: Fill = (random) => Math.floor(random() * 7) - 3;

const unary = (reference: Scalar, domain: Fill, exactness: Exactness, wrt: number[] = [0]): Row => ({
  reference,
  domain: [domain],
  exactness,
  wrt,
});
const binary = (reference: Scalar, domain: Fill[], exactness: Exactness, wrt: number[] = [0, 1]): Row => ({
  reference,
  domain,
  exactness,
  wrt,
});
const compare = (reference: Scalar): Row => ({
  reference,
  domain: [whole, whole],
  exactness: 'exact',
  output: 'bool',
});

/** numpy's remainder: the sign of the divisor. */
const floorMod = (a: number, b: number): number => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};

/** Ties go to the even neighbour, as IEEE and numpy round. */
const roundHalfEven = (a: number): number => {
  const low = Math.floor(a);
  const rest = a - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
};

const steps = cycle([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -3, 3, 0.25, -0.75, 1e9, 8388609, 0.49999997, -7.3]);
const odd = cycle([1, Number.NaN, -1, Number.POSITIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 3e38]);

export const elementwiseRows: Record<string, Row> = {
  neg: unary((a) => -a, any, 'exact'),
  abs: unary(Math.abs, awayFromZero(0.1, 8), 'exact'),
  sign: unary(Math.sign, any, 'exact', []),
  square: unary((a) => a * a, any, 'exact'),
  sqrt: unary(Math.sqrt, positive, 'exact'),
  // A division after a root, each rounded once.
  rsqrt: unary((a) => 1 / Math.sqrt(a), positive, { ulps: 1.5 }),
  reciprocal: unary((a) => 1 / a, pole, 'exact'),
  exp: unary(Math.exp, between(-20, 20), { ulps: 1.5 }),
  expm1: unary(Math.expm1, between(-6, 6), { ulps: 2 }),
  log: unary(Math.log, positive, { ulps: 2 }),
  log1p: unary(Math.log1p, between(-0.7, 5), { ulps: 2 }),
  sin: unary(Math.sin, between(-30, 30), { ulps: 2 }),
  cos: unary(Math.cos, between(-30, 30), { ulps: 2 }),
  // A quotient of two functions with 2 ulps each.
  tan: unary(Math.tan, between(-1.3, 1.3), { ulps: 5 }),
  atan: unary(Math.atan, between(-20, 20), { ulps: 3 }),
  tanh: unary(Math.tanh, real, { ulps: 2 }),
  sigmoid: unary((a) => 1 / (1 + Math.exp(-a)), any, { ulps: 2 }),
  erf: unary(erf, real, { ulps: 3 }),
  // Relative where nothing cancels; test/kernels has all arguments.
  gelu: unary((a) => 0.5 * a * (1 + erf(a / Math.SQRT2)), between(-0.5, 8), { ulps: 4 }),
  geluSlope: unary(
    (a) => 0.5 * (1 + erf(a / Math.SQRT2)) + (a * Math.exp(-0.5 * a * a)) / Math.sqrt(2 * Math.PI),
    between(0, 6),
    { ulps: 2 },
  ),
  relu: unary((a) => Math.max(a, 0), awayFromZero(0.1, 4), 'exact'),
  softplus: unary((a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))), any, { ulps: 2 }),
  floor: unary(Math.floor, steps, 'exact', []),
  ceil: unary(Math.ceil, steps, 'exact', []),
  round: unary(roundHalfEven, steps, 'exact', []),
  trunc: unary(Math.trunc, steps, 'exact', []),
  isNan: { reference: (a) => Number(Number.isNaN(a)), domain: [odd], exactness: 'exact', output: 'bool' },
  isFinite: { reference: (a) => Number(Number.isFinite(a)), domain: [odd], exactness: 'exact', output: 'bool' },
  add: binary((a, b) => a + b, [any, any], 'exact'),
  sub: binary((a, b) => a - b, [any, any], 'exact'),
  mul: binary((a, b) => a * b, [any, any], 'exact'),
  div: binary((a, b) => a / b, [any, pole], 'exact'),
  floorDivide: binary((a, b) => Math.floor(a / b), [whole, cycle([2, -2, 4, 0.5])], 'exact', []),
  // Exactly representable quotients; the divisor's derivative is minus the quotient rounded down, away from whole quotients.
  mod: binary(floorMod, [cycle([5.25, -5.25, 7.75, -3.25, 0.75]), cycle([2, -2, 3, 0.5])], 'exact'),
  minimum: binary((a, b) => Math.min(a, b), [between(-4, -0.1), between(0.1, 4)], 'exact'),
  maximum: binary((a, b) => Math.max(a, b), [between(-4, -0.1), between(0.1, 4)], 'exact'),
  pow: binary((a, b) => a ** b, [between(0.2, 4), between(-3, 3)], { ulps: 4 }),
  whenPositive: binary((a, b) => (a > 0 ? b : 0), [awayFromZero(0.2, 3), any], 'exact', [1]),
  equal: compare((a, b) => Number(a === b)),
  notEqual: compare((a, b) => Number(a !== b)),
  less: compare((a, b) => Number(a < b)),
  lessEqual: compare((a, b) => Number(a <= b)),
  greater: compare((a, b) => Number(a > b)),
  greaterEqual: compare((a, b) => Number(a >= b)),
};

/** Derivatives of these are one correctly rounded step (or a copy), given a float32 cotangent. */
const exactGradient = new Set(['neg', 'abs', 'add', 'sub', 'relu', 'minimum', 'maximum', 'whenPositive']);

const cases = Object.entries(elementwiseRows).map(
  ([op, row]): OpCase => ({
    op,
    about: 'every size',
    inputs: row.domain.map((fill): Argument => f32([-1], fill)),
    rows: sizes,
    reference: elementwise(row.reference),
    exactness: row.exactness,
    output: row.output ?? 'float32',
    wrt: row.wrt ?? [],
    gradientExactness: exactGradient.has(op) ? 'exact' : 'norm',
    // Differences of a linear function are exact only between numbers with few digits.
    integers: exactGradient.has(op),
  }),
);

for (const row of cases) {
  if (!row.integers) continue;
  row.inputs = row.inputs.map((input) => ({
    ...input,
    fill: (random, index, count) => Math.round(input.fill(random, index, count) * 16 + 1 / 64) / 16,
  }));
}

export const elementwiseCases: OpCase[] = cases;
