import { describe, expect, test } from 'vitest';
import type { NativeProgram } from '../../lib/native.js';
import { Builder, evaluate, variable } from '../ir/builder.js';

const body = (text: string) =>
  text
    .slice(text.indexOf('body\n') + 5)
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/)[0]);

describe('simplify', () => {
  test('computes equal expressions once and drops what nobody reads', () => {
    const b = new Builder();
    const x = b.input('x', -1, 2);
    b.op('exp', [x]);
    const y = b.op('add', [
      b.op('reduceSum', [x], { axes: [1], keepDims: true }),
      b.op('reduceSum', [x], { axes: [1], keepDims: true }),
    ]);
    expect(b.graph.compileSync([y]).describe()).toMatchInlineSnapshot(`
      "%0 = input "x" -> float32[N, 2]
      %1 = reduceSum %0 axes=[1] keepDims=1 -> float32[N, 1]
      %2 = island %1 -> float32[N, 1]
      output %2
      "
    `);
  });

  test('lets elementwise ops broadcast instead of copying', () => {
    const b = new Builder();
    const x = b.input('x', -1, 3);
    const bias = b.op('broadcastTo', [b.input('b', 3)], { shape: [-1, 3] });
    const program = b.graph.compileSync([b.op('mul', [x, bias])]);
    expect(program.describe()).not.toContain('broadcastTo');
  });

  // As the gradient of a batch norm has it: sums of columns with and without the axes that were summed.
  test('computes of vectors without the axes of length 1 that some of them have', () => {
    const build = () => {
      const b = new Builder();
      const [x, scale] = [b.input('x', -1, 3), b.input('scale', 3)];
      const kept = b.op('neg', [b.op('reduceSum', [x], { axes: [0], keepDims: true })]);
      const row = b.op('mul', [kept, b.op('reshape', [b.op('abs', [scale])], { shape: [1, 3] })]);
      return { b, outputs: [b.op('sub', [x, b.op('square', [row])]), row] };
    };
    const { b, outputs } = build();
    const text = b.graph.compileSync(outputs).describe();
    expect(text.match(/= island .*/g)).toHaveLength(2);
    const again = build();
    const found = evaluate(again.b, again.outputs, [
      [[1, 2, 3, -2, -3, -5], 2, 3],
      [[1, -2, 3], 3],
    ]);
    expect(found).toEqual([
      [0, -2, -33, -3, -7, -41],
      [1, 2, 6],
    ]);
  });

  test('keeps x + 0, because -0 + 0 is not -0', () => {
    const b = new Builder();
    const x = b.input('x', 1);
    const y = b.op('reciprocal', [b.op('add', [x, b.scalar(0)])]);
    expect(evaluate(b, [y], [[[-0], 1]])).toEqual([[Infinity]]);
  });
});

describe('fusion', () => {
  test('dense + bias + relu is one step', () => {
    const b = new Builder();
    const y = b.op('relu', [b.dense(b.input('x', -1, 4), variable('kernel', 4, 8), variable('bias', 8))]);
    expect(body(b.graph.compileSync([y]).describe(3))).toEqual(['matmul+add+relu']);
  });

  // As an activation and its gradient, where both inputs are at hand.
  test('results that share values but not each other are one step', () => {
    const build = () => {
      const b = new Builder();
      const [x, dy] = [b.input('x', -1, 4), b.input('dy', -1, 4)];
      const shared = b.op('tanh', [x]);
      return { b, outputs: [b.op('square', [shared]), b.op('mul', [dy, shared]), b.op('neg', [dy])] };
    };
    const { b, outputs } = build();
    const islands = b.graph
      .compileSync(outputs)
      .describe()
      .match(/= island .*/g)!;
    expect(islands.map((text) => text.match(/float32/g)!.length).sort()).toEqual([1, 2]);
    const numbers = [0.5, -1, 2, 0.25];
    const again = build();
    const found = evaluate(again.b, again.outputs, [
      [numbers, 1, 4],
      [[1, 2, 3, 4], 1, 4],
    ]);
    numbers.forEach((value, i) => {
      expect(found[0]![i]).toBeCloseTo(Math.tanh(value) ** 2, 6);
      expect(found[1]![i]).toBeCloseTo(Math.tanh(value) * (i + 1), 6);
      expect(found[2]![i]).toBe(-(i + 1));
    });
  });

  test('a result that another one needs through something else stays a step of its own', () => {
    const b = new Builder();
    const x = b.input('x', 4, 4);
    const shared = b.op('tanh', [x]);
    const first = b.op('square', [shared]);
    const later = b.op('mul', [b.op('matmul', [first, x]), shared]);
    const text = b.graph.compileSync([first, later]).describe();
    expect(text.match(/= island .*/g)).toHaveLength(1);
    expect(text).toMatch(/= matmul %\d+, %\d+, %\d+ /); // with the later one behind it
  });

  describe('what follows a bias in registers', () => {
    type Behind = (b: Builder, sum: number, x: number) => number;
    const behind: Record<string, Behind> = {
      'relu and more': (b, sum, x) => b.op('minimum', [b.op('add', [b.op('relu', [sum]), x]), b.scalar(0.25)]),
      'the sum is read twice': (b, sum) => b.op('mul', [sum, b.op('relu', [sum])]),
      'relu is read twice': (b, sum, x) => b.op('mul', [b.op('relu', [sum]), b.op('sub', [x, b.op('relu', [sum])])]),
      'no relu': (b, sum, x) => b.op('div', [x, b.op('exp', [sum])]),
      'the bias is read again': (b, sum) => b.op('mul', [b.op('relu', [sum]), b.graph.read(bias)]),
      'another operand': (b, sum, x) => b.op('add', [x, sum]),
      'another operand, relu and a ceiling': (b, sum, x) =>
        b.op('minimum', [b.op('relu', [b.op('add', [sum, x])]), b.scalar(0.5)]),
      'another operand that is read again': (b, sum, x) => b.op('mul', [b.op('add', [sum, x]), x]),
      'an operand of one row': (b, sum) => b.op('add', [sum, b.graph.read(row)]),
      'twice itself': (b, sum) => b.op('add', [sum, sum]),
      'a gate': (b, sum, x) => b.op('whenPositive', [x, sum]),
      'a gate and more': (b, sum, x) => b.op('exp', [b.op('whenPositive', [x, sum])]),
      'itself a gate': (b, sum, x) => b.op('whenPositive', [sum, x]),
      'relu, then a gate': (b, sum, x) => b.op('whenPositive', [x, b.op('relu', [sum])]),
    };
    const row = variable('row', 1, 20);
    const [kernel, bias] = [variable('kernel', 20, 20), variable('bias', 20)];
    const products: Record<string, (b: Builder, x: number) => number> = {
      matmul: (b, x) => b.op('matmul', [x, b.graph.read(kernel)]),
      'pointwise conv2d': (b, x) => {
        const filter = b.op('reshape', [b.graph.read(kernel)], { shape: [1, 1, 20, 20] });
        return b.op('conv2d', [x, filter], { strides: [1, 1] });
      },
    };
    const program = (product: string, biased: boolean, then: Behind, keep: boolean) => {
      const b = new Builder();
      const x = product === 'matmul' ? b.input('x', -1, 20) : b.input('x', -1, 1, 1, 20);
      const made = products[product]!(b, x);
      const y = then(b, biased ? b.op('add', [made, b.graph.read(bias)]) : made, x);
      return b.graph.compileSync(keep ? [y, made] : [y]);
    };
    const all = Object.keys(behind).flatMap((name) =>
      Object.keys(products).flatMap((product) => [true, false].map((biased) => ({ name, product, biased }))),
    );

    test.each(all)('has the bits of steps of their own: $product, bias $biased, $name', ({ name, product, biased }) => {
      const [fused, apart] = [true, false].map((one) => program(product, biased, behind[name]!, !one)) as [
        NativeProgram,
        NativeProgram,
      ];
      expect(body(fused.describe(3))).toHaveLength(1);
      expect(body(apart.describe(3)).length).toBeGreaterThan(1);
      for (const rows of [1, 7, 40]) {
        const x = {
          data: Float32Array.from({ length: rows * 20 }, (_, i) => Math.sin(i * i)),
          shape: product === 'matmul' ? [rows, 20] : [rows, 1, 1, 20],
        };
        expect(fused.runSync([x])[0]!.data).toEqual(apart.runSync([x])[0]!.data);
      }
    });
  });

  test('a chain of elementwise ops is one island with all results that leave it', () => {
    const b = new Builder();
    const x = b.input('x', -1, 5);
    const e = b.op('exp', [x]);
    const y = b.op('div', [e, b.op('add', [e, b.scalar(1)])]);
    const program = b.graph.compileSync([e, y]);
    expect(body(program.describe(4))).toEqual(['exp+add+div']);
    const [exponential, logistic] = program
      .runSync([{ data: Float32Array.of(0, 1, -1, 2, -2), shape: [1, 5] }])
      .map((r) => r.data);
    expect(exponential?.[1]).toBeCloseTo(Math.E, 6);
    expect(logistic?.[2]).toBeCloseTo(1 / (1 + Math.E), 6);
  });

  test('does not fuse around a path that leaves the island and comes back', () => {
    const b = new Builder();
    const x = b.input('x', -1, 4);
    const a = b.op('exp', [x]);
    const total = b.op('reduceSum', [a], { axes: [1], keepDims: true });
    const wide = b.op('broadcastTo', [total], { shape: [-1, 4] });
    const y = b.op('mul', [a, b.op('matmul', [wide, b.graph.read(variable('w', 4, 4))])]);
    const program = b.graph.compileSync([y]);
    expect(program.describe(2)).toMatch(/exp .*reduceSum .*matmul\+mul/s);
  });

  test('computes in the backward pass what only the backward pass needs', () => {
    const b = new Builder();
    const x = b.input('x', -1, 4);
    const hidden = b.op('tanh', [b.op('matmul', [x, b.graph.read(variable('w', 4, 4))])]);
    const y = b.op('matmul', [hidden, b.graph.read(variable('v', 4, 4))]);
    const [dx] = b.graph.gradients(b.sum(b.op('square', [y])), [x]);
    const steps = body(b.graph.compileSync([dx as number]).describe(2));
    // 1 - hidden^2 belongs to the gradient's epilogue, not to the forward tanh.
    expect(steps).toEqual(['matmul+tanh', 'matmul+add', 'matmul+mul+sub+mul', 'matmul']);
  });

  test('scalars of a formula become constants of the program, not memory', () => {
    const b = new Builder();
    const x = b.input('x', -1);
    const y = b.op('mul', [b.op('add', [x, b.scalar(2)]), b.scalar(3)]);
    expect(b.graph.compileSync([y]).describe(4)).toMatchInlineSnapshot(`
      "plan for batch 4: 1 steps, arena 0 bytes
      body
        add+mul                         input0 -> output0
      "
    `);
  });
});
