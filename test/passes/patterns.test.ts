import { describe, expect, test } from 'vitest';
import { Builder, evaluate, variable } from '../ir/builder.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i * 1.7));

describe('a reduction over rows of an embedding', () => {
  const ids = Int32Array.from({ length: 2 * 300 }, (_, i) => (i * i) % 7);
  const bound = [
    { data: Float32Array.from(numbers(7 * 5)), shape: [7, 5] },
    { data: ids, shape: [2, 300] },
  ];
  /** With `keep` the rows leave the program, too, so that they must exist. */
  const program = (op: string, keep: boolean, keepDims = false) => {
    const b = new Builder();
    const rows = b.op('gather', [b.input('table', 7, 5), b.graph.input('ids', 'int32', [-1, 300])]);
    const bags = b.op(op, [rows], { axes: [1], keepDims });
    return b.graph.compileSync(keep ? [bags, rows] : [bags]);
  };

  test.each(['reduceSum', 'reduceMean'])('%s is one op with the bits of the two', (op) => {
    const fused = program(op, false);
    expect(fused.describe()).toContain('gatherReduce');
    expect(program(op, true).describe()).not.toContain('gatherReduce');
    expect(fused.runSync(bound)[0]!.data).toEqual(program(op, true).runSync(bound)[0]!.data);
  });

  test('keeps the reduced axis where it is asked for', () => {
    const [bags] = program('reduceMean', false, true).runSync(bound);
    expect(bags!.shape).toEqual([2, 1, 5]);
    expect(bags!.data).toEqual(program('reduceMean', true).runSync(bound)[0]!.data);
  });

  test('still refuses an index outside the table', () => {
    const wrong = [bound[0]!, { data: ids.map((id, i) => (i === 305 ? 7 : id)), shape: [2, 300] }];
    expect(() => program('reduceMean', false).runSync(wrong)).toThrow(/7/);
  });

  test('lists without any index give zeros, as the reduction alone has it', () => {
    const b = new Builder();
    const rows = b.op('gather', [b.input('table', 7, 5), b.graph.input('ids', 'int32', [-1, 0])]);
    const empty = b.graph.compileSync([b.op('reduceSum', [rows], { axes: [1], keepDims: false })]);
    const [bags] = empty.runSync([bound[0]!, { data: new Int32Array(0), shape: [2, 0] }]);
    expect(Array.from(bags!.data)).toEqual(new Array(10).fill(0));
  });

  test('a list whose length is not the reduced axis stays as it is', () => {
    const b = new Builder();
    const rows = b.op('gather', [b.input('table', 7, 5), b.graph.input('ids', 'int32', [-1, 300])]);
    expect(b.graph.compileSync([b.op('reduceSum', [rows], { axes: [2], keepDims: false })]).describe()).not.toContain(
      'gatherReduce',
    );
  });
});

test('the gradient of a bag takes one row for the whole list', () => {
  const b = new Builder();
  const g = b.input('g', -1, 1, 2);
  const wide = b.op('broadcastTo', [g], { shape: [-1, 3, 2] });
  const dTable = b.op('gatherGradient', [wide, b.graph.input('ids', 'int32', [-1, 3])], { shape: [4, 2] });
  const program = b.graph.compileSync([dTable]);
  expect(program.describe()).toContain('group=3');
  expect(program.describe()).not.toContain('broadcastTo');
  const ids = Int32Array.from([0, 1, 1, 3, 1, 0]);
  const [sums] = program.runSync([
    { data: Float32Array.from([1, 10, 2, 20]), shape: [2, 1, 2] },
    { data: ids, shape: [2, 3] },
  ]);
  expect(Array.from(sums!.data)).toEqual([3, 30, 4, 40, 0, 0, 2, 20]);
});

describe('the gradient of relu before a max pool', () => {
  const pool = { strides: [2, 2], padding: [0, 0, 0, 0], size: [2, 2] };
  const build = (keep: boolean) => {
    const b = new Builder();
    const x = b.input('x', 2, 4, 4, 3);
    const g = b.input('g', 2, 2, 2, 3);
    const relu = b.op('relu', [x]);
    const [maxima, where] = b.graph.op('maxPool', [relu], pool) as [number, number];
    const spread = b.op('maxPoolGradient', [g, where], { ...pool, shape: [2, 4, 4, 3] });
    const dx = b.op('whenPositive', [relu, spread]);
    const bias = b.op('reduceSum', [dx], { axes: [0, 1, 2], keepDims: false });
    return { b, outputs: keep ? [maxima, dx, bias, spread] : [maxima, dx, bias] };
  };
  const whole = (count: number) => Array.from({ length: count }, (_, i) => ((i * 7919) % 23) - 11);
  const inputs: [number[], ...number[]][] = [
    [whole(96), 2, 4, 4, 3],
    [whole(24), 2, 2, 2, 3],
  ];

  test('is taken at the maxima, and so is the sum for a bias', () => {
    const { b, outputs } = build(false);
    const shown = build(false);
    const text = shown.b.graph.compileSync(shown.outputs).describe();
    expect(text).toMatch(/islandSums .*\[2, 2, 2, 3\]/);
    expect(text).not.toContain('reduceSum');
    const direct = build(true);
    const expected = evaluate(direct.b, direct.outputs, inputs);
    expect(evaluate(b, outputs, inputs)).toEqual(expected.slice(0, 3));
    expect(expected[1]!.some((value) => value !== 0)).toBe(true);
  });
});

describe('what is the same for all rows goes behind their sum where that is needed anyway', () => {
  const x = [3, 4, 2];
  const build = (of: (b: Builder, x: number, factor: number) => number, op: string, keepDims: boolean) => {
    const b = new Builder();
    const value = b.input('x', -1, 4, 2);
    const term = of(b, value, b.graph.read(variable('factor', 2)));
    const sum = b.op(op, [term], { axes: [0, 1], keepDims });
    return { b, sum, term, plain: b.op(op, [value], { axes: [0, 1], keepDims: false }) };
  };
  const terms: Record<string, { of: (b: Builder, x: number, factor: number) => number; behind: string }> = {
    neg: { of: (b, x) => b.op('neg', [x]), behind: 'neg' },
    mul: { of: (b, x, factor) => b.op('mul', [factor, x]), behind: 'mul' },
    div: { of: (b, x, factor) => b.op('div', [x, factor]), behind: 'div' },
    twice: { of: (b, x) => b.op('add', [x, x]), behind: 'add' },
    'a number': { of: (b, x) => b.op('mul', [x, b.scalar(0.1)]), behind: 'mul' },
    'all of them': {
      of: (b, x, factor) => b.op('neg', [b.op('mul', [b.op('add', [x, x]), b.op('div', [factor, b.scalar(3)])])]),
      behind: 'neg',
    },
  };
  const values = Array.from({ length: 24 }, (_, i) => Math.sin(i * 7.1) * 3);

  test.each(Object.keys(terms))('%s', (name) => {
    for (const op of ['reduceSum', 'reduceMean']) {
      for (const keepDims of [false, true]) {
        const shown = build(terms[name]!.of, op, keepDims);
        // One sum, of the input itself.
        const text = shown.b.graph.compileSync([shown.sum, shown.plain]).describe();
        expect(text).toMatch(new RegExp(`${op} %0 `));
        expect(text.match(/reduce(Sum|Mean)/g)).toHaveLength(1);
        const { b, sum, term, plain } = build(terms[name]!.of, op, keepDims);
        const [found, all] = evaluate(b, [sum, term, plain], [[values, ...x]] as [number[], ...number[]][]);
        const exact = [0, 1].map((column) => all!.reduce((a, v, i) => a + (i % 2 === column ? v : 0), 0));
        const count = op === 'reduceMean' ? 12 : 1;
        exact.forEach((value, i) => {
          // Both sums, of 12 terms, are within 13 roundings of the exact one.
          const size = all!.reduce((a, v, j) => a + (j % 2 === i ? Math.abs(v) : 0), 0) / count;
          expect(Math.abs(found![i]! - value / count)).toBeLessThanOrEqual(26 * 2 ** -24 * size);
        });
      }
    }
  });

  test('a factor of each row stays where it is', () => {
    const { b, sum, plain } = build(
      (b, x) => b.op('mul', [x, b.op('reduceMax', [x], { axes: [2], keepDims: true })]),
      'reduceSum',
      false,
    );
    expect(
      b.graph
        .compileSync([sum, plain])
        .describe()
        .match(/reduceSum|islandSums/g),
    ).toHaveLength(2);
  });

  test('a factor that keeps the sum within float32 stays where it is', () => {
    const { b, sum } = build((b, x) => b.op('mul', [x, b.scalar(1 / 16)]), 'reduceSum', false);
    const large = 2 ** 127;
    const found = evaluate(b, [sum], [[Array<number>(24).fill(large), ...x]] as [number[], ...number[]][]);
    expect(found).toEqual([[large * 0.75, large * 0.75]]);
  });

  test('so the gradients of a batch norm take two sums', () => {
    const b = new Builder();
    const [value, seed] = [b.input('x', -1, 5, 16), b.input('seed', -1, 5, 16)];
    const [scale, offset] = ['scale', 'offset'].map((name) => b.graph.read(variable(name, 16))) as [number, number];
    const mean = (of: number) => b.op('reduceMean', [of], { axes: [0, 1], keepDims: false });
    const apart = () => b.op('sub', [value, mean(value)]);
    const deviation = b.op('sqrt', [b.op('add', [mean(b.op('square', [apart()])), b.scalar(1e-3)])]);
    const y = b.op('add', [b.op('mul', [apart(), b.op('div', [scale, deviation])]), offset]);
    const gradients = b.graph.gradients(y, [value, scale, offset], seed);
    const text = b.graph.compileSync(gradients).describe();
    expect(text).toContain('moments');
    expect(text.match(/reduceSum|reduceMean|islandSums/g)).toHaveLength(2);
  });

  describe('deviations from a mean', () => {
    const sumOf = (data: number[], shape: number[], meanShape?: number[]) => {
      const b = new Builder();
      const x = b.input('x', -1, ...shape.slice(1));
      const mean = b.op('reduceMean', [x], { axes: [0, 1], keepDims: !meanShape });
      const wide = meanShape ? b.op('reshape', [mean], { shape: meanShape }) : mean;
      const terms = b.op('mul', [b.op('sub', [x, wide]), b.graph.read(variable('factor', shape[2]!))]);
      const outputs = [b.op('reduceSum', [terms], { axes: [0, 1], keepDims: false }), terms];
      return evaluate(b, outputs, [[data, ...shape]] as [number[], ...number[]][]);
    };

    test('have the sum 0', () => {
      expect(sumOf(values, x)[0]!.map(Math.abs)).toEqual([0, 0]);
      expect(sumOf(values, x, [1, 1, 2])[0]!.map(Math.abs)).toEqual([0, 0]);
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY])('in a column with %d they have none', (value) => {
      const data = values.map((number, i) => (i === 5 ? value : number));
      const [[even, odd]] = sumOf(data, x) as [number[], number[]];
      expect([Math.abs(even!), odd]).toEqual([0, Number.NaN]);
    });

    test.each([[[2, 1]], [[1, 1, 1, 2]]])('behind a mean of shape %j they are others', (meanShape) => {
      const [found, terms] = sumOf(values.slice(0, 12), [3, 2, 2], meanShape) as [number[], number[]];
      // With the further axis, the sums are over the images alone.
      const columns = meanShape.length === 2 ? 2 : 4;
      found.forEach((sum, i) => {
        const own = terms.filter((_, at) => at % columns === i);
        const size = own.reduce((a, v) => a + Math.abs(v), 0);
        expect(Math.abs(sum - own.reduce((a, v) => a + v, 0))).toBeLessThanOrEqual(6 * 2 ** -24 * size);
      });
      expect(found.some((sum) => Math.abs(sum) > 0.1)).toBe(true);
    });
  });
});

describe('a bias over axes that a reshape makes', () => {
  const heads = (b: Builder, keep: boolean, biasShape = [2, 3]) => {
    const product = b.op('matmul', [b.input('x', -1, 4, 5), b.graph.read(variable('kernel', 5, 6))]);
    const split = b.op('reshape', [product], { shape: [-1, 4, 2, 3] });
    const y = b.op('add', [split, b.graph.read(variable('bias', ...biasShape))]);
    return b.graph.compileSync(keep ? [y, product] : [y]);
  };
  const x = [{ data: Float32Array.from(numbers(3 * 4 * 5)), shape: [3, 4, 5] }];

  test('is an epilogue of the product, with the same bits and shape', () => {
    const fused = heads(new Builder(), false);
    expect(fused.describe(3)).toContain('matmul+add ');
    const [found] = fused.runSync(x);
    const [expected] = heads(new Builder(), true).runSync(x);
    expect(found).toEqual(expected);
  });

  test('stays where it is if it covers fewer or other axes', () => {
    expect(heads(new Builder(), false, [3]).describe(3)).not.toContain('matmul+add');
    expect(heads(new Builder(), false, [4, 2, 3]).describe(3)).not.toContain('matmul+add');
  });
});

describe('zeros around images', () => {
  interface Around {
    op: 'conv2d' | 'conv2dFilter' | 'maxPool';
    padding?: number[];
    value?: number;
    own?: number[];
    before?: string;
    /** Of what is padded, which must then exist. */
    behind?: string;
  }
  const program = ({
    op,
    padding = [0, 0, 1, 0, 2, 1, 0, 0],
    value = 0,
    own = [1, 1, 0, 0],
    before,
    behind,
  }: Around) => {
    const b = new Builder();
    const padded = b.op('pad', [b.op(before ?? 'relu', [b.input('x', -1, 5, 6, 3)])], { padding, value });
    const x = behind ? b.op(behind, [padded]) : padded;
    const [, h, w, channels] = b.graph.shape(x) as [number, number, number, number];
    const dy = [h + own[0]! + own[1]! - 2, w + own[2]! + own[3]! - 2, 2];
    const attrs = { strides: [1, 1], padding: own };
    const made = {
      conv2d: () => b.op(op, [x, b.graph.read(variable('filter', 3, 3, channels, 4))], attrs),
      conv2dFilter: () => b.op(op, [x, b.input('dy', -1, ...dy)], { ...attrs, shape: [3, 3, channels, 2] }),
      maxPool: () => b.op(op, [x], { ...attrs, size: [3, 3] }),
    };
    const shapes = [[2, 5, 6, 3], ...(op === 'conv2dFilter' ? [[2, ...dy]] : [])];
    const bound = shapes.map((shape) => ({
      data: Float32Array.from(numbers(shape.reduce((size, dim) => size * dim, 1))),
      shape,
    }));
    return { program: b.graph.compileSync([made[op]()]), bound };
  };
  const text = (around: Around) => program(around).program.describe(1);

  test.each(['conv2d', 'conv2dFilter', 'maxPool'] as const)('are a padding of %s, with the same bits', (op) => {
    const folded = program({ op });
    const apart = program({ op, behind: 'relu' });
    expect(folded.program.describe(1)).not.toContain('pad ');
    expect(apart.program.describe(1)).toContain('pad ');
    expect(folded.program.runSync(folded.bound)).toEqual(apart.program.runSync(apart.bound));
  });

  test('stay where they are more than a padding', () => {
    expect(text({ op: 'conv2d', value: 1 })).toContain('pad ');
    expect(text({ op: 'conv2d', padding: [0, 0, 1, 0, 0, 0, 0, 1] })).toContain('pad ');
    expect(text({ op: 'conv2d', own: [2, 1, 0, 0] })).toContain('pad ');
    expect(text({ op: 'maxPool', before: 'tanh' })).toContain('pad ');
    expect(text({ op: 'conv2d', before: 'tanh' })).not.toContain('pad ');
  });
});
