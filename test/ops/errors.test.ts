import { expect, test } from 'vitest';
import { ChainruleError } from '../../lib/errors.js';
import { native } from '../../lib/native.js';
import { decode, sizeOf } from './case.js';
import { errorCases } from './cases/errors.js';
import { arrayOf, nameOf } from './run.js';

test.each(errorCases.map((row) => [nameOf(row), row] as const))('%s', (_name, row) => {
  const graph = new native.Graph();
  const ids = row.inputs.map(({ dtype, shape }, i) => graph.input(`x${i}`, dtype, shape));
  let caught: unknown;
  try {
    graph.op(row.op, ids, row.attrs ?? {});
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(ChainruleError);
  const { code, message } = caught as ChainruleError;
  expect(message).toMatch(row.message);
  expect(message).toContain(row.op);
  expect(code).toBe(row.code);
  // The graph goes on: a refused node leaves nothing behind.
  const [doubled] = graph.op('add', [graph.scalar(1, 'float32'), graph.scalar(1, 'float32')]) as [number];
  const inputs = row.inputs.map(({ dtype, shape }) => {
    const size = decode(shape, 1);
    return { data: arrayOf(dtype, new Float64Array(sizeOf(size))), shape: size };
  });
  expect(graph.compileSync([doubled]).runSync(inputs)[0]!.data[0]).toBe(2);
});

test('an unknown op and a wrong number of inputs are refused', () => {
  const graph = new native.Graph();
  const x = graph.input('x', 'float32', [3]);
  expect(() => graph.op('matmull', [x, x])).toThrow(ChainruleError);
  expect(() => graph.op('exp', [])).toThrow(ChainruleError);
  expect(() => graph.op('exp', [x, x])).toThrow(ChainruleError);
  expect(() => graph.op('exp', [x + 99])).toThrow(ChainruleError);
  expect(() => graph.op('exp', [-1])).toThrow(ChainruleError);
});
