import { expect, test } from 'vitest';
import { native } from '../../lib/native.js';

// A recurrent layer is one step of a plan, however long its sequences are, and what nobody reads has no memory.

const ops = { simpleRnn: 1, gru: 3, lstm: 4 } as const;
type Op = keyof typeof ops;

/** An op over `steps` time steps with 6 units, and its parts. */
function describe(op: Op, steps: number) {
  const graph = new native.Graph();
  const x = graph.input('x', 'float32', [-1, steps, 3]);
  const kernel = graph.input('kernel', 'float32', [3, 6 * ops[op]]);
  const recurrent = graph.input('recurrent', 'float32', [6, 6 * ops[op]]);
  return { graph, inputs: [x, kernel, recurrent], parts: graph.op(op, [x, kernel, recurrent], {}) };
}

const stepsOf = (text: string): number => text.split('\n').filter((line) => line.includes('->')).length;

test.each(Object.keys(ops) as Op[])('%s: as many steps for 500 time steps as for 10', (op) => {
  const counts = [10, 500].map((steps) => {
    const { graph, inputs, parts } = describe(op, steps);
    const total = graph.op('reduceSum', [parts[0]!], { axes: [0, 1], keepDims: false })[0]!;
    const program = graph.compileSync([total, ...graph.gradients(total, inputs)]);
    return stepsOf(program.describe(4));
  });
  expect(counts[0]).toBeGreaterThan(1);
  expect(counts[1]).toBe(counts[0]);
});

test('several parts of one op may be differentiated at once', async () => {
  const { graph, inputs, parts } = describe('lstm', 4);
  const sum = (id: number, axes: number[]) =>
    graph.op('reduceSum', [graph.op('square', [id])[0]!], { axes, keepDims: false })[0]!;
  const alone = [sum(parts[0]!, [0, 1]), sum(parts[1]!, [0, 1, 2]), sum(parts[2]!, [0, 1]), sum(parts[3]!, [0, 1])];
  const total = alone.reduce((a, b) => graph.op('add', [a, b])[0]!);
  const wanted = inputs.slice(1);
  const joint = graph.gradients(total, wanted);
  const separate = alone.map((value) => graph.gradients(value, wanted));
  const program = graph.compileSync([...joint, ...separate.flat()]);
  const fill = (shape: number[]) => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + shape[0]!)),
  });
  const out = await program.run([fill([5, 4, 3]), fill([3, 24]), fill([6, 24])]).promise;
  for (const [k] of wanted.entries()) {
    const sums = out[k]!.data.map((_, i) =>
      alone.reduce((total, __, part) => total + out[2 + part * 2 + k]!.data[i]!, 0),
    );
    const largest = Math.max(...sums.map(Math.abs));
    // Four sums of 20 products of numbers below 2, each rounded once more here.
    for (const [i, value] of out[k]!.data.entries()) expect(Math.abs(value - sums[i]!)).toBeLessThan(4e-6 * largest);
  }
});

test('a second derivative names the op', () => {
  const { graph, inputs, parts } = describe('gru', 3);
  const total = (id: number) => {
    const axes = graph.shape(id).map((_, axis) => axis);
    return graph.op('reduceSum', [graph.op('square', [id])[0]!], { axes, keepDims: false })[0]!;
  };
  const [dx] = graph.gradients(total(parts[1]!), inputs) as [number];
  expect(() => graph.gradients(total(dx), inputs)).toThrow(/gruGradient has no gradient/);
});
