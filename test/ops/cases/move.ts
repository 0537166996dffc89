import {
  type Attrs,
  between,
  bits,
  bool,
  cycle,
  decode,
  eachIndex,
  f32,
  i32,
  integers,
  numbers,
  type OpCase,
  positionOf,
  type Reference,
  sizeOf,
  type Values,
  values,
} from '../case.js';

// Ops that move values: every result is bit-equal, every gradient a sum of moved cotangents.

const fill = integers(-9, 9);

/** A tensor whose element at an index is what `pick` finds. */
function build(shape: number[], pick: (index: number[]) => number): Values {
  const out = values(shape);
  eachIndex(shape, (index, position) => {
    out.data[position] = pick(index);
  });
  return out;
}

const at = (x: Values, index: readonly number[]): number => x.data[positionOf(x.shape, index)]!;

const transpose: Reference = ([x], attrs) => {
  const perm = numbers(attrs, 'perm');
  const source = x!.shape.map(() => 0);
  return build(
    perm.map((axis) => x!.shape[axis]!),
    (index) => {
      for (const [i, axis] of perm.entries()) source[axis] = index[i]!;
      return at(x!, source);
    },
  );
};

const reshape: Reference = ([x], attrs) => {
  const shape = numbers(attrs, 'shape');
  const hole = Number(attrs.infer ?? -1);
  if (hole >= 0) shape[hole] = sizeOf(x!.shape) / sizeOf(shape.filter((_, axis) => axis !== hole));
  return values(shape, x!.data);
};

const slice: Reference = ([x], attrs) => {
  const [axes, begin, size] = ['axes', 'begin', 'size'].map((name) => numbers(attrs, name)) as [
    number[],
    number[],
    number[],
  ];
  const strides = numbers(
    attrs,
    'strides',
    axes.map(() => 1),
  );
  const shape = [...x!.shape];
  for (const [i, axis] of axes.entries()) shape[axis] = size[i]!;
  return build(shape, (index) => {
    const source = [...index];
    for (const [i, axis] of axes.entries()) source[axis] = begin[i]! + index[axis]! * strides[i]!;
    return at(x!, source);
  });
};

const concat: Reference = (inputs, attrs) => {
  const axis = Number(attrs.axis);
  const shape = [...inputs[0]!.shape];
  shape[axis] = inputs.reduce((total, x) => total + x.shape[axis]!, 0);
  return build(shape, (index) => {
    const source = [...index];
    let which = 0;
    while (source[axis]! >= inputs[which]!.shape[axis]!) source[axis]! -= inputs[which++]!.shape[axis]!;
    const x = inputs[which]!;
    return x.data[source.reduce((position, i, a) => position * x.shape[a]! + i, 0)]!;
  });
};

const pad: Reference = ([x], attrs) => {
  const padding = numbers(attrs, 'padding');
  const shape = x!.shape.map((size, axis) => size + padding[2 * axis]! + padding[2 * axis + 1]!);
  return build(shape, (index) => {
    const source = index.map((i, axis) => i - padding[2 * axis]!);
    const inside = source.every((i, axis) => i >= 0 && i < x!.shape[axis]!);
    return inside ? at(x!, source) : Number(attrs.value ?? 0);
  });
};

const broadcastTo: Reference = ([x], attrs) => build(numbers(attrs, 'shape'), (index) => at(x!, index));

const gather: Reference = ([table, indices]) => {
  const rest = table!.shape.slice(1);
  const size = sizeOf(rest);
  const out = values([...indices!.shape, ...rest]);
  indices!.data.forEach((row, i) => {
    out.data.set(table!.data.subarray(row * size, (row + 1) * size), i * size);
  });
  return out;
};

const oneHot: Reference = ([indices], { depth }) => {
  const out = values([...indices!.shape, Number(depth)]);
  indices!.data.forEach((hot, i) => {
    if (hot >= 0 && hot < Number(depth)) out.data[i * Number(depth) + hot] = 1;
  });
  return out;
};

type Row = [op: string, about: string, shapes: number[][], attrs: Attrs, rows: number[], reference: Reference];

const rows: Row[] = [
  ['transpose', 'a matrix', [[-1, 9]], { perm: [1, 0] }, [1, 2, 8, 17], transpose],
  ['transpose', 'large', [[-1, 65]], { perm: [1, 0] }, [33], transpose],
  ['transpose', 'three axes', [[-1, 3, 5]], { perm: [2, 0, 1] }, [1, 4], transpose],
  ['transpose', 'inner axes', [[-1, 3, 5]], { perm: [0, 2, 1] }, [1, 4], transpose],
  ['transpose', 'NHWC to NCHW', [[-1, 3, 4, 5]], { perm: [0, 3, 1, 2] }, [2], transpose],
  ['transpose', 'four axes turned around', [[2, 3, 4, 5]], { perm: [3, 2, 1, 0] }, [1], transpose],
  ['reshape', 'flatten', [[-1, 3, 4]], { shape: [-1, 12], infer: -1 }, [1, 5], reshape],
  ['reshape', 'the batch spreads', [[-1, 6]], { shape: [-6], infer: -1 }, [1, 5], reshape],
  ['reshape', 'one size inferred', [[-1, 6]], { shape: [-1, 2, 1], infer: 2 }, [2], reshape],
  ['reshape', 'to a scalar', [[1, 1]], { shape: [], infer: -1 }, [1], reshape],
  ['slice', 'rows', [[-1, 9]], { axes: [1], begin: [2], size: [5], strides: [1] }, [1, 7], slice],
  ['slice', 'every third, backwards', [[-1, 10]], { axes: [1], begin: [9], size: [4], strides: [-3] }, [1, 5], slice],
  ['slice', 'two axes', [[-1, 6, 7]], { axes: [1, 2], begin: [1, 0], size: [3, 4], strides: [2, 2] }, [3], slice],
  ['slice', 'nothing', [[-1, 6]], { axes: [1], begin: [3], size: [0], strides: [1] }, [2], slice],
  ['slice', 'a fixed first axis', [[8, 3]], { axes: [0], begin: [5], size: [3], strides: [-2] }, [1], slice],
  ['slice', 'flip', [[-1, 17]], { axes: [1], begin: [16], size: [17], strides: [-1] }, [3], slice],
  [
    'concat',
    'columns',
    [
      [-1, 3],
      [-1, 5],
      [-1, 1],
    ],
    { axis: 1 },
    [1, 9],
    concat,
  ],
  [
    'concat',
    'batches',
    [
      [-1, 4],
      [-1, 4],
    ],
    { axis: 0 },
    [1, 6],
    concat,
  ],
  [
    'concat',
    'channels',
    [
      [-1, 2, 3, 16],
      [-1, 2, 3, 8],
    ],
    { axis: 3 },
    [2],
    concat,
  ],
  ['concat', 'one input', [[-1, 4]], { axis: 1 }, [3], concat],
  [
    'concat',
    'an empty one',
    [
      [-1, 0],
      [-1, 3],
    ],
    { axis: 1 },
    [4],
    concat,
  ],
  ['concat', 'sixteen', Array.from({ length: 16 }, () => [-1, 2]), { axis: 1 }, [5], concat],
  ['pad', 'rows', [[-1, 5]], { padding: [0, 0, 1, 2], value: 0 }, [1, 7], pad],
  ['pad', 'with ones', [[-1, 4, 3]], { padding: [0, 0, 2, 0, 0, 1], value: 1 }, [3], pad],
  ['pad', 'a fixed first axis', [[2, 3]], { padding: [1, 1, 0, 3], value: -2 }, [1], pad],
  ['broadcastTo', 'a row', [[7]], { shape: [-1, 7] }, [1, 9], broadcastTo],
  ['broadcastTo', 'a column', [[-1, 1]], { shape: [-1, 33] }, [1, 4], broadcastTo],
  ['broadcastTo', 'a scalar', [[]], { shape: [-1, 2, 3] }, [1, 4], broadcastTo],
  ['broadcastTo', 'the middle', [[-1, 1, 5]], { shape: [-1, 3, 5] }, [2], broadcastTo],
  ['stopGradient', 'passes values', [[-1, 5]], {}, [3], ([x]) => x!],
];

const floats = rows.map(
  ([op, about, shapes, attrs, sizes, reference]): OpCase => ({
    op,
    about,
    inputs: [...shapes, [-1]].map((shape) => f32(shape, fill)),
    takes: shapes.length,
    attrs,
    rows: sizes,
    reference,
    exactness: 'exact',
    wrt: op === 'stopGradient' ? [] : shapes.map((_, i) => i),
    gradientExactness: 'exact',
    integers: true,
  }),
);

const chosen = [
  'transpose three axes',
  'reshape flatten',
  'slice two axes',
  'concat columns',
  'pad rows',
  'broadcastTo a row',
];
const otherTypes = rows
  .filter(([op, about]) => chosen.includes(`${op} ${about}`))
  .flatMap(([op, about, shapes, attrs, sizes, reference]): OpCase[] => [
    {
      op,
      about: `int32, ${about}`,
      inputs: [...shapes, [-1]].map((shape) => i32(shape, fill)),
      takes: shapes.length,
      attrs,
      rows: sizes,
      reference,
      exactness: 'exact',
      output: 'int32',
    },
    {
      op,
      about: `bool, ${about}`,
      inputs: [...shapes, [-1]].map((shape) => bool(shape, bits)),
      takes: shapes.length,
      attrs,
      rows: sizes,
      reference,
      exactness: 'exact',
      output: 'bool',
    },
  ]);

const lookups: OpCase[] = [
  [[7, 5], [-1], [1, 2, 9, 33]],
  [
    [20, 16],
    [-1, 4],
    [1, 3],
  ],
  [[3], [-1, 2], [5]],
  [[6, 2, 3], [-1], [8]],
  [[2, 33], [-1, 9], [7]],
].map(([table, indices, sizes]) => ({
  op: 'gather',
  about: `${table!.length} dimensions by ${indices!.length}, rows of ${sizeOf(table!.slice(1))}`,
  inputs: [f32(table!, fill), i32(indices!, integers(0, table![0]! - 1))],
  rows: sizes!,
  reference: gather,
  exactness: 'exact',
  wrt: [0],
  // Sums of integers, repeated ids included.
  gradientExactness: 'exact',
  integers: true,
}));

const made: OpCase[] = [
  {
    op: 'gather',
    about: 'a table of int32',
    inputs: [i32([5, 2], fill), i32([-1], integers(0, 4))],
    rows: [6],
    reference: gather,
    exactness: 'exact',
    output: 'int32',
  },
  {
    op: 'oneHot',
    about: 'every size',
    inputs: [i32([-1], integers(0, 4))],
    attrs: { depth: 5 },
    rows: [1, 8, 17],
    reference: oneHot,
    exactness: 'exact',
  },
  {
    op: 'oneHot',
    about: 'numbers outside give rows of zeros',
    inputs: [i32([-1, 3], cycle([-1, 0, 2, 3, 7]))],
    attrs: { depth: 3 },
    rows: [5],
    reference: oneHot,
    exactness: 'exact',
  },
  {
    op: 'iota',
    about: 'first axis',
    inputs: [],
    attrs: { shape: [4, 3], axis: 0 },
    reference: () => build([4, 3], ([i]) => i!),
    exactness: 'exact',
    output: 'int32',
  },
  {
    op: 'iota',
    about: 'along the batch',
    inputs: [f32([-1], between(0, 1))],
    takes: 0,
    attrs: { shape: [-1, 2], axis: 0 },
    rows: [1, 9],
    reference: (_inputs, attrs) => build(decode(numbers(attrs, 'shape'), 1), ([i]) => i!),
    exactness: 'exact',
    output: 'int32',
  },
  {
    op: 'batchSize',
    about: 'three times the batch',
    inputs: [f32([-1], between(0, 1))],
    takes: 0,
    attrs: { scale: 3 },
    rows: [1, 7],
    reference: ([x]) => values([], [3 * x!.shape[0]!]),
    exactness: 'exact',
    output: 'int32',
  },
];

export const moveCases: OpCase[] = [...floats, ...otherTypes, ...lookups, ...made];
