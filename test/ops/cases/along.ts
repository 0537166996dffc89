import {
  between,
  cycle,
  distinct,
  eachIndex,
  f32,
  i32,
  integers,
  type OpCase,
  type Reference,
  type Values,
  values,
} from '../case.js';

// Ops that keep the shape and run along one axis: cumulative sums and products, softmax.

/** Applies f to each line along the axis. */
export const lines =
  (f: (line: number[], attrs: Record<string, unknown>) => number[]): Reference =>
  ([x], attrs): Values => {
    const axis = Number(attrs.axis);
    const out = values(x!.shape);
    const seen = new Map<string, number[]>();
    eachIndex(x!.shape, (index, position) => {
      const key = index.map((i, at) => (at === axis ? '*' : i)).join();
      const line = seen.get(key) ?? [];
      if (line.length === 0) seen.set(key, line);
      line.push(position);
    });
    for (const positions of seen.values()) {
      const result = f(
        positions.map((position) => x!.data[position]!),
        attrs,
      );
      for (const [i, position] of positions.entries()) out.data[position] = result[i]!;
    }
    return out;
  };

const scan = (start: number, step: (a: number, b: number) => number): Reference =>
  lines((line, { exclusive, reverse }) => {
    const source = reverse ? [...line].reverse() : line;
    let running = start;
    const result = source.map((value) => {
      const before = running;
      running = step(running, value);
      return exclusive ? before : running;
    });
    return reverse ? result.reverse() : result;
  });

const cumulative: OpCase[] = [
  { shape: [-1], axis: 0, rows: [1, 2, 7, 16, 33] },
  { shape: [-1, 9], axis: 1, rows: [1, 8] },
  { shape: [-1, 17], axis: 0, rows: [1, 3, 9] },
  { shape: [-1, 3, 5], axis: 1, rows: [2] },
  { shape: [-1, 2, 700], axis: 2, rows: [2] },
].flatMap(({ shape, axis, rows }) =>
  [
    { exclusive: false, reverse: false },
    { exclusive: true, reverse: false },
    { exclusive: false, reverse: true },
    { exclusive: true, reverse: true },
  ].map(
    (flags): OpCase => ({
      op: 'cumsum',
      about: `axis ${axis} of ${shape.length}${flags.exclusive ? ', exclusive' : ''}${flags.reverse ? ', reverse' : ''}`,
      inputs: [f32(shape, integers(-8, 8))],
      attrs: { axis, ...flags },
      rows,
      reference: scan(0, (a, b) => a + b),
      exactness: 'exact',
      wrt: [0],
      gradientExactness: 'exact',
      integers: true,
    }),
  ),
);

const others: OpCase[] = [
  {
    op: 'cumprod',
    about: 'rows',
    inputs: [f32([-1, 6], cycle([1, -2, 2, -1, 1, 2, -1]))],
    attrs: { axis: 1, exclusive: false, reverse: false },
    rows: [1, 5],
    reference: scan(1, (a, b) => a * b),
    exactness: 'exact',
  },
  {
    op: 'cumprod',
    about: 'columns, exclusive and reverse',
    inputs: [f32([-1, 9], cycle([1, -2, 2, -1, 1, 2, -1]))],
    attrs: { axis: 0, exclusive: true, reverse: true },
    rows: [4],
    reference: scan(1, (a, b) => a * b),
    exactness: 'exact',
  },
  {
    op: 'cumsum',
    about: 'int32',
    inputs: [i32([-1, 5], integers(-99, 99))],
    attrs: { axis: 1, exclusive: false, reverse: false },
    rows: [3],
    reference: scan(0, (a, b) => a + b),
    exactness: 'exact',
    output: 'int32',
  },
];

const softmax = (line: number[]): number[] => {
  const top = Math.max(...line);
  const powers = line.map((x) => Math.exp(x - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / total);
};
const logSoftmax = (line: number[]): number[] => {
  const top = Math.max(...line);
  const total = line.reduce((a, x) => a + Math.exp(x - top), 0);
  return line.map((x) => x - top - Math.log(total));
};

const softmaxes: OpCase[] = (['softmax', 'logSoftmax'] as const).flatMap((op) => {
  const reference = lines(op === 'softmax' ? softmax : logSoftmax);
  return [
    ...[
      { shape: [-1, 10], axis: 1, rows: [1, 3, 16, 17] },
      { shape: [-1, 33], axis: 1, rows: [2] },
      { shape: [-1, 1], axis: 1, rows: [4] },
      { shape: [-1, 7], axis: 0, rows: [1, 2, 9] },
      { shape: [-1, 5, 4], axis: 1, rows: [3] },
      { shape: [-1, 2, 65], axis: 2, rows: [2] },
      // As many as fit into the registers of a warp, of a block, and more.
      { shape: [-1, 300], axis: 1, rows: [9] },
      { shape: [-1, 1001], axis: 1, rows: [9] },
      { shape: [-1, 1500], axis: 1, rows: [2] },
      { shape: [-1, 9001], axis: 1, rows: [2] },
      { shape: [-1, 40, 50], axis: 1, rows: [2] },
    ].map(
      ({ shape, axis, rows }): OpCase => ({
        op,
        about: `axis ${axis} of ${shape.length} dimensions, last ${shape.at(-1)}`,
        inputs: [f32(shape, between(-5, 5))],
        attrs: { axis },
        rows,
        reference,
        exactness: 'norm',
        wrt: [0],
        gradientExactness: 'norm',
      }),
    ),
    {
      op,
      about: 'logits of ten thousand do not overflow',
      inputs: [f32([-1, 4], cycle([1e4, -1e4, 9999, 0, -9999, 12]))],
      attrs: { axis: 1 },
      rows: [6],
      reference,
      exactness: 'norm',
    },
  ];
});

/** The places in order; equal elements keep theirs, NaN comes last (first when descending). */
const order =
  (descending: boolean) =>
  (line: number[]): number[] =>
    line
      .map((_, i) => i)
      .sort((i, j) => {
        const [a, b] = [line[i]!, line[j]!].map((x) => (Number.isNaN(x) ? Number.POSITIVE_INFINITY : x));
        const nan = Number(Number.isNaN(line[i]!)) - Number(Number.isNaN(line[j]!));
        const by = nan || (a! < b! ? -1 : a! > b! ? 1 : 0);
        return (descending ? -by : by) || i - j;
      });

const ties = cycle([2, -1, 2, 0, -0, Number.POSITIVE_INFINITY, -1, 3, Number.NEGATIVE_INFINITY, 2]);
const sorts: OpCase[] = [
  { about: 'the last axis', input: f32([-1, 7], distinct), axis: 1, rows: [1, 3, 9] },
  { about: 'the first axis', input: f32([-1, 3], distinct), axis: 0, rows: [1, 2, 33] },
  { about: 'an axis within, descending', input: f32([-1, 5, 4], distinct), axis: 1, descending: true, rows: [2] },
  { about: 'equal elements, zeros of both signs', input: f32([-1, 20], ties), axis: 1, rows: [2] },
  { about: 'equal elements, descending', input: f32([-1, 20], ties), axis: 1, descending: true, rows: [2] },
  { about: 'NaN', input: f32([-1, 5], cycle([1, Number.NaN, -1, 7, Number.NaN, 2])), axis: 1, rows: [3] },
  { about: 'integers', input: i32([-1, 50], integers(-9, 9)), axis: 1, rows: [3] },
  { about: 'long rows', input: f32([-1, 2500], integers(-999, 999)), axis: 1, rows: [2] },
  { about: 'long columns, descending', input: i32([-1, 2], integers(-99, 9)), axis: 0, descending: true, rows: [2100] },
].map(
  ({ about, input, axis, descending = false, rows }): OpCase => ({
    op: 'argsort',
    about,
    inputs: [input],
    attrs: { axis, descending },
    rows,
    reference: lines(order(descending)),
    exactness: 'exact',
    output: 'int32',
  }),
);

export const alongCases: OpCase[] = [...cumulative, ...others, ...softmaxes, ...sorts];
