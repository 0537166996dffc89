import { type Attrs, between, bool, cycle, type Fill, f32, type OpCase, type Values, values } from '../case.js';

// Recurrent layers by the formulas of Keras, one row and one time step after the other, in float64.

type Row = number[];
const functions: Record<string, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(x, 0),
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  hardSigmoid: (x) => Math.min(Math.max(x / 6 + 0.5, 0), 1),
  softsign: (x) => x / (1 + Math.abs(x)),
};

/** x · w[:, from …], w with `width` columns. */
function times(x: Row, w: Values, from: number, units: number): Row {
  const width = w.shape[1]!;
  const out: Row = Array(units).fill(0);
  x.forEach((value, i) => {
    for (let j = 0; j < units; ++j) out[j]! += value * w.data[i * width + from + j]!;
  });
  return out;
}
const plus = (...rows: Row[]): Row => rows[0]!.map((_, j) => rows.reduce((sum, row) => sum + row[j]!, 0));

export interface Weights {
  kernel: Values;
  recurrent: Values;
  bias?: Values | undefined;
}

/** One step of one row: the next states, the first of which is the output. */
export function cellStep(op: string, x: Row, states: Row[], w: Weights, attrs: Attrs): Row[] {
  const units = w.recurrent.shape[0]!;
  const act = functions[String(attrs.activation ?? 'tanh')]!;
  const gate = functions[String(attrs.recurrentActivation ?? 'sigmoid')]!;
  const [h, c] = states as [Row, Row];
  const bias = (row: number, g: number): Row =>
    Array.from({ length: units }, (_, j) => (w.bias ? w.bias.data[row * w.kernel.shape[1]! + g * units + j]! : 0));
  const fromX = (g: number): Row => plus(times(x, w.kernel, g * units, units), bias(0, g));
  const fromH = (g: number, state = h): Row => times(state, w.recurrent, g * units, units);
  if (op === 'simpleRnn') return [plus(fromX(0), fromH(0)).map(act)];
  if (op === 'lstm') {
    const z = [0, 1, 2, 3].map((g) => plus(fromX(g), fromH(g)));
    const carry = c.map((old, j) => gate(z[1]![j]!) * old + gate(z[0]![j]!) * act(z[2]![j]!));
    return [carry.map((value, j) => gate(z[3]![j]!) * act(value)), carry];
  }
  const after = attrs.resetAfter !== false;
  const inner = (g: number): Row => (after ? plus(fromH(g), bias(1, g)) : fromH(g));
  const update = plus(fromX(0), inner(0)).map(gate);
  const reset = plus(fromX(1), inner(1)).map(gate);
  const third = after
    ? inner(2).map((value, j) => reset[j]! * value)
    : fromH(
        2,
        h.map((value, j) => reset[j]! * value),
      );
  const proposed = plus(fromX(2), third).map(act);
  return [update.map((z, j) => z * h[j]! + (1 - z) * proposed[j]!)];
}

/** The op's visible parts: last output, sequence, states. */
export function recurrent(op: string, inputs: Values[], attrs: Attrs): Values[] {
  const [x, kernel, weights] = inputs as [Values, Values, Values];
  const [n, steps, features] = x.shape as [number, number, number];
  const units = weights.shape[0]!;
  let next = 3;
  const bias = attrs.bias ? inputs[next++] : undefined;
  const count = op === 'lstm' ? 2 : 1;
  const initial = attrs.state ? inputs.slice(next, (next += count)) : [];
  const mask = attrs.mask ? inputs[next] : undefined;
  const out = [
    values([n, units]),
    values([n, steps, units]),
    ...Array.from({ length: count }, () => values([n, units])),
  ];
  for (let row = 0; row < n; ++row) {
    let states = Array.from({ length: count }, (_, k) =>
      Array.from({ length: units }, (_, j) => initial[k]?.data[row * units + j] ?? 0),
    );
    let output = Array<number>(units).fill(0);
    for (let s = 0; s < steps; ++s) {
      const at = row * steps + (attrs.backwards ? steps - 1 - s : s);
      const counts = mask ? mask.data[at] !== 0 : true;
      if (counts) {
        const input = Array.from(x.data.slice(at * features, (at + 1) * features));
        states = cellStep(op, input, states, { kernel, recurrent: weights, bias }, attrs);
        output = states[0]!;
      } else if (attrs.zeroOutput) output = Array<number>(units).fill(0);
      for (let j = 0; j < units; ++j) out[1]!.data[(row * steps + s) * units + j] = output[j]!;
    }
    for (let j = 0; j < units; ++j) {
      out[0]!.data[row * units + j] = output[j]!;
      for (let k = 0; k < count; ++k) out[2 + k]!.data[row * units + j] = states[k]![j]!;
    }
  }
  return out;
}

const gates = { simpleRnn: 1, gru: 3, lstm: 4 } as const;
type Op = keyof typeof gates;

interface Size {
  about: string;
  steps: number;
  features: number;
  units: number;
  rows: number[];
  part?: number;
  attrs?: Attrs;
  /** The mask's fill, where there is a mask. */
  mask?: Fill;
  /** Rows as a number instead of the batch. */
  fixed?: number;
}

/** Every other step missing, some rows missing from the start, one altogether. */
const holes = cycle([1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0]);
const never = cycle([0, 0, 0, 0]);

const sizes: Size[] = [
  { about: 'one step', steps: 1, features: 3, units: 2, rows: [1, 4] },
  { about: 'no step', steps: 0, features: 3, units: 2, rows: [2] },
  { about: 'last output', steps: 5, features: 3, units: 5, rows: [1, 3, 7] },
  { about: 'no rows', steps: 3, features: 2, units: 4, rows: [1], part: 1, fixed: 0 },
  {
    about: 'sequence, units over a block',
    steps: 4,
    features: 2,
    units: 9,
    rows: [2, 3],
    part: 1,
    attrs: { bias: true },
  },
  {
    about: 'sequence, units over a panel',
    steps: 3,
    features: 17,
    units: 21,
    rows: [3, 40],
    part: 1,
    attrs: { bias: true },
  },
  { about: 'many units and rows', steps: 2, features: 2, units: 33, rows: [25, 64], part: 1, attrs: { bias: true } },
  { about: 'a long sequence', steps: 30, features: 1, units: 3, rows: [1], attrs: { bias: true } },
  { about: 'more than 512 rows and steps', steps: 30, features: 1, units: 3, rows: [20], attrs: { bias: true } },
  {
    about: 'hidden state, initial states',
    steps: 3,
    features: 4,
    units: 6,
    rows: [1, 5],
    part: 2,
    attrs: { bias: true, state: true },
  },
  {
    about: 'backwards',
    steps: 4,
    features: 3,
    units: 4,
    rows: [2, 6],
    part: 1,
    attrs: { bias: true, backwards: true, state: true },
  },
  {
    about: 'a mask',
    steps: 5,
    features: 3,
    units: 4,
    rows: [4],
    part: 1,
    attrs: { bias: true, mask: true },
    mask: holes,
  },
  {
    about: 'a mask, initial states',
    steps: 5,
    features: 3,
    units: 4,
    rows: [4, 5],
    part: 1,
    attrs: { bias: true, mask: true, state: true },
    mask: holes,
  },
  {
    about: 'a mask, zero outputs',
    steps: 5,
    features: 3,
    units: 4,
    rows: [4],
    part: 1,
    attrs: { mask: true, state: true, zeroOutput: true },
    mask: holes,
  },
  {
    about: 'a mask, zero last output',
    steps: 5,
    features: 3,
    units: 4,
    rows: [4],
    attrs: { mask: true, zeroOutput: true },
    mask: holes,
  },
  {
    about: 'a mask backwards',
    steps: 5,
    features: 3,
    units: 10,
    rows: [4],
    part: 1,
    attrs: { bias: true, mask: true, backwards: true },
    mask: holes,
  },
  {
    about: 'a mask, last output',
    steps: 4,
    features: 3,
    units: 4,
    rows: [3],
    attrs: { mask: true, state: true, bias: true },
    mask: holes,
  },
  {
    about: 'nothing but masked steps',
    steps: 4,
    features: 3,
    units: 4,
    rows: [2],
    part: 2,
    attrs: { mask: true, state: true, bias: true },
    mask: never,
  },
  { about: 'rows of a number', steps: 3, features: 2, units: 3, rows: [1], part: 1, fixed: 3 },
];

function caseOf(op: Op, size: Size, more: Attrs = {}, about = ''): OpCase {
  const { steps, features, units, rows, part, mask, fixed } = size;
  const attrs: Attrs = { ...size.attrs, ...more };
  const columns = gates[op] * units;
  const n = fixed ?? -1;
  // Many large weights would make a chaos of the states, which blows up any rounding.
  const recurrentMost = units > 64 ? 2 / Math.sqrt(units) : 0.6;
  const inputs = [
    f32([n, steps, features], between(-1, 1)),
    f32([features, columns], between(-0.8, 0.8)),
    f32([units, columns], between(-recurrentMost, recurrentMost)),
  ];
  if (attrs.bias) {
    inputs.push(f32(op === 'gru' && attrs.resetAfter !== false ? [2, columns] : [columns], between(-0.5, 0.5)));
  }
  if (attrs.state) {
    for (let k = 0; k < (op === 'lstm' ? 2 : 1); ++k) inputs.push(f32([n, units], between(-0.7, 0.7)));
  }
  const wrt = inputs.map((_, i) => i);
  if (attrs.mask) inputs.push(bool([n, steps], mask!));
  return {
    op,
    about: `${size.about}${about}`,
    inputs,
    attrs,
    ...(part !== undefined && { part }),
    rows,
    reference: (arrays, given) => recurrent(op, arrays, given)[part ?? 0]!,
    exactness: 'norm',
    ...(steps > 0 && fixed !== 0 && { wrt }),
  };
}

const plain = sizes.flatMap((size) => [
  caseOf('simpleRnn', size),
  caseOf('lstm', size),
  caseOf('gru', size),
  caseOf('gru', size, { resetAfter: false }, ', reset before the product'),
]);

const small: Size = {
  about: '',
  steps: 4,
  features: 3,
  units: 11,
  rows: [3, 5],
  part: 1,
  attrs: { bias: true, state: true },
};

const activations = [
  ['linear', 'sigmoid'],
  ['relu', 'hardSigmoid'],
  ['sigmoid', 'tanh'],
  ['softsign', 'linear'],
  ['hardSigmoid', 'softsign'],
].flatMap(([activation, recurrentActivation]) =>
  (['simpleRnn', 'lstm', 'gru'] as const).map((op) =>
    caseOf(
      op,
      small,
      { activation: activation!, recurrentActivation: recurrentActivation! },
      `${activation} and ${recurrentActivation}`,
    ),
  ),
);

const carries = [small, { ...sizes[12]!, part: 3 }].map((size) =>
  caseOf('lstm', { ...size, about: `carry, ${size.about}`, part: 3 }),
);

/**
 * What decides how a GPU takes the steps: few units go through all of them in one launch, by blocks of one, two or four
 * rows; with more than 512 columns U does not fit a multiprocessor.
 */
const shapes = (['simpleRnn', 'lstm', 'gru'] as const).flatMap((op) => {
  const many = { simpleRnn: 515, lstm: 131, gru: 173 }[op];
  const masked: Size = {
    about: '',
    steps: 3,
    features: 3,
    units: 5,
    rows: [],
    part: 1,
    attrs: { bias: true, mask: true, state: true },
    mask: holes,
  };
  const sizes: Size[] = [
    { ...masked, about: 'blocks of two rows', rows: [135] },
    { ...masked, about: 'blocks of four rows', rows: [270] },
    { ...masked, about: 'units over the registers of a thread', units: 91, rows: [3] },
    { ...masked, about: 'many units', units: many, rows: [3], attrs: { ...masked.attrs, backwards: true } },
    { about: 'many units, last output', steps: 2, features: 2, units: many, rows: [2] },
  ];
  return sizes.flatMap((size) => [
    caseOf(op, size),
    ...(op === 'gru' ? [caseOf(op, size, { resetAfter: false }, ', reset before the product')] : []),
  ]);
});

export const recurrentCases: OpCase[] = [...plain, ...activations, ...carries, ...shapes];
