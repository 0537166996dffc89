import { describe, expect, test } from 'vitest';
import { Builder, evaluate, variable } from './builder.js';

describe('autodiff', () => {
  test('adds up what arrives over several paths', () => {
    const b = new Builder();
    const x = b.input('x', 3);
    const y = b.op('add', [b.op('mul', [x, x]), x]); // x^2 + x
    const [gradient] = b.graph.gradients(b.sum(y), [x]);
    expect(evaluate(b, [gradient as number], [[[1, 2, -3], 3]])).toEqual([[3, 5, -5]]);
  });

  test('sums over the axes that broadcasting stretched', () => {
    const b = new Builder();
    const x = b.input('x', -1, 2);
    const bias = b.input('bias', 2);
    const column = b.input('column', -1, 1);
    const y = b.sum(b.op('mul', [b.op('add', [x, bias]), column]));
    const gradients = b.graph.gradients(y, [bias, column]);
    const [dBias, dColumn] = evaluate(b, gradients, [
      [[1, 2, 3, 4], 2, 2],
      [[10, 20], 2],
      [[1, -1], 2, 1],
    ]);
    expect(dBias).toEqual([0, 0]);
    expect(dColumn).toEqual([33, 37]);
  });

  test('gradients nest: the second and third derivative of x^3', () => {
    const b = new Builder();
    const x = b.input('x', 2);
    const cube = b.op('mul', [b.op('mul', [x, x]), x]);
    const [first] = b.graph.gradients(b.sum(cube), [x]);
    const [second] = b.graph.gradients(b.sum(first as number), [x]);
    const [third] = b.graph.gradients(b.sum(second as number), [x]);
    const results = evaluate(b, [first, second, third] as number[], [[[2, -1], 2]]);
    expect(results).toEqual([
      [12, 3],
      [12, -6],
      [6, 6],
    ]);
  });

  test('a gradient penalty goes through matmul twice', () => {
    const b = new Builder();
    const kernel = variable('kernel', 2, 1);
    const x = b.input('x', -1, 2);
    const w = b.graph.read(kernel);
    const out = b.op('tanh', [b.op('matmul', [x, w])]);
    const [dx] = b.graph.gradients(b.sum(out), [x]);
    const penalty = b.sum(b.op('square', [dx as number]));
    const [dw] = b.graph.gradients(penalty, [w]);
    const point = [0.3, -0.7];
    const [[gradient0, gradient1] = []] = evaluate(b, [dw as number], [[point, 1, 2]]);
    const value = (w0: number, w1: number) => {
      const slope = 1 - Math.tanh(0.3 * w0 - 0.7 * w1) ** 2;
      return (slope * w0) ** 2 + (slope * w1) ** 2;
    };
    const [w0, w1, h] = [Math.fround(Math.sin(1)), Math.fround(Math.sin(2)), 1e-5];
    expect(gradient0).toBeCloseTo((value(w0 + h, w1) - value(w0 - h, w1)) / (2 * h), 5);
    expect(gradient1).toBeCloseTo((value(w0, w1 + h) - value(w0, w1 - h)) / (2 * h), 5);
  });

  test('nothing flows through stopGradient, comparisons and what is not connected', () => {
    const b = new Builder();
    const x = b.input('x', 2);
    const other = b.input('other', 2);
    const stopped = b.op('mul', [
      b.op('stopGradient', [x]),
      b.op('cast', [b.op('greater', [x, b.scalar(0)])], { dtype: 'float32' }),
    ]);
    expect(b.graph.gradients(b.sum(stopped), [x, other])).toEqual([-1, -1]);
  });

  test('customGradient replaces the derivative and takes part in nesting', () => {
    const b = new Builder();
    const x = b.input('x', 2);
    const y = b.op('square', [x]);
    const dy = b.op('placeholder', [], { dtype: 'float32', shape: [2] });
    const dx = b.op('mul', [dy, b.scalar(100)]);
    const custom = b.op('customGradient', [y, dy, x, dx]);
    const [gradient] = b.graph.gradients(b.sum(b.op('mul', [custom, x])), [x]);
    // d(custom * x) = custom + 100 x
    expect(evaluate(b, [gradient as number], [[[1, 3], 2]])).toEqual([[101, 309]]);
  });

  test('an op without a derivative names itself and the layer', () => {
    const b = new Builder();
    const x = b.input('x', -1, 4, 4, 1);
    b.graph.setScope('pool_1');
    const pooled = b.op('maxPool', [x], { size: [2, 2], strides: [2, 2], padding: [0, 0, 0, 0] });
    const [first] = b.graph.gradients(b.sum(b.op('square', [pooled])), [x]);
    expect(() => b.graph.gradients(b.sum(first as number), [x])).toThrow(
      /maxPoolGradient has no gradient, in layer "pool_1"/,
    );
  });
});
