import {
  type Attrs,
  bits,
  bool,
  build,
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

type Row = [op: string, about: string, shapes: number[][], attrs: Attrs, rows: number[], reference: Reference];

const rows: Row[] = [
  ['transpose', 'a matrix', [[-1, 9]], { perm: [1, 0] }, [1, 2, 8, 17], transpose],
  ['transpose', 'large', [[-1, 65]], { perm: [1, 0] }, [33], transpose],
  ['transpose', 'the outer two axes', [[-1, 3, 36]], { perm: [1, 0, 2] }, [2, 11], transpose],
  ['transpose', 'tiles within', [[-1, 2, 40, 3]], { perm: [3, 1, 0, 2] }, [35], transpose],
  ['transpose', 'three axes', [[-1, 3, 5]], { perm: [2, 0, 1] }, [1, 4], transpose],
  ['transpose', 'inner axes', [[-1, 3, 5]], { perm: [0, 2, 1] }, [1, 4], transpose],
  ['transpose', 'NHWC to NCHW', [[-1, 3, 4, 5]], { perm: [0, 3, 1, 2] }, [2], transpose],
  ['transpose', 'four axes turned around', [[2, 3, 4, 5]], { perm: [3, 2, 1, 0] }, [1], transpose],
  ['reshape', 'flatten', [[-1, 3, 4]], { shape: [-1, 12], infer: -1 }, [1, 5], reshape],
  ['reshape', 'the batch spreads', [[-1, 6]], { shape: [-6], infer: -1 }, [1, 5], reshape],
  ['reshape', 'one size inferred', [[-1, 6]], { shape: [-1, 2, 1], infer: 2 }, [2], reshape],
  ['reshape', 'to a scalar', [[1, 1]], { shape: [], infer: -1 }, [1], reshape],
  ['slice', 'rows', [[-1, 9]], { axes: [1], begin: [2], size: [5], strides: [1] }, [1, 7], slice],
  ['slice', 'whole vectors', [[-1, 6, 16]], { axes: [1, 2], begin: [1, 4], size: [3, 8], strides: [2, 1] }, [3], slice],
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
  ['concat', 'hundreds', Array.from({ length: 260 }, (_, i) => [-1, i % 3]), { axis: 1 }, [3], concat],
  [
    'concat',
    'whole vectors',
    [
      [-1, 4],
      [-1, 12],
    ],
    { axis: 1 },
    [200],
    concat,
  ],
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

export const moveCases: OpCase[] = [...floats, ...otherTypes];
