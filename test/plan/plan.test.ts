import { describe, expect, test } from 'vitest';
import type { NativeVariable } from '../../lib/native.js';
import { native } from '../../lib/native.js';
import { Builder, evaluate, variable } from '../ir/builder.js';

const section = (text: string, name: string) => text.slice(text.indexOf(`\n${name}`)).split('\n');

/** A dense layer trained by plain gradient descent, the whole step in one graph. */
function trainingStep(features: number, units: number) {
  const b = new Builder();
  const weights = [variable('kernel', features, units), variable('bias', units)] as [NativeVariable, NativeVariable];
  const x = b.input('x', -1, features);
  const y = b.op('relu', [b.dense(x, ...weights)]);
  const loss = b.op('reduceMean', [b.op('square', [y])], { axes: [0, 1], keepDims: false });
  const gradients = b.graph.gradients(
    loss,
    weights.map((w) => b.graph.read(w)),
  );
  const flat = b.graph.packGroup(weights, gradients);
  b.graph.updateGroup(weights, b.op('sub', [b.graph.readGroup(weights), b.op('mul', [flat, b.scalar(0.1)])]));
  return { b, weights, loss };
}

describe('plans', () => {
  test('weights stay packed: a training step converts no layout and updates in place', () => {
    const { b, loss } = trainingStep(20, 24);
    const text = b.graph.compileSync([loss]).describe(32);
    expect(text).not.toMatch(/packPanels|unpackPanels|update /);
    expect(text).toMatch(/mul\+sub .*variable0 -> variable0/);
  });

  test('packed weights read back in row-major order, before and after training', async () => {
    const { b, weights, loss } = trainingStep(5, 19);
    const before = await weights[0].read();
    const program = b.graph.compileSync([loss]);
    expect(Array.from(await weights[0].read())).toEqual(Array.from(before));
    const data = Float32Array.from({ length: 15 }, (_, i) => Math.cos(i));
    program.runSync([{ data, shape: [3, 5] }]);
    // The same step in float64.
    const kernel = Array.from(before);
    const bias = Array.from({ length: 19 }, (_, i) => Math.fround(Math.sin(i + 1)));
    const gradient = kernel.map(() => 0);
    for (let n = 0; n < 3; n++) {
      for (let u = 0; u < 19; u++) {
        let sum = bias[u] as number;
        for (let f = 0; f < 5; f++) sum += (data[n * 5 + f] as number) * (kernel[f * 19 + u] as number);
        const up = sum > 0 ? (2 * sum) / (3 * 19) : 0;
        for (let f = 0; f < 5; f++)
          gradient[f * 19 + u] = (gradient[f * 19 + u] as number) + up * (data[n * 5 + f] as number);
      }
    }
    const after = await weights[0].read();
    kernel.forEach((value, i) => {
      expect(after[i]).toBeCloseTo(value - 0.1 * (gradient[i] as number), 6);
    });
  });

  test('what depends on weights alone is computed once per version of the weights', async () => {
    const b = new Builder();
    const scale = variable('scale', 4);
    const folded = b.op('exp', [b.graph.read(scale)]);
    const program = b.graph.compileSync([b.op('mul', [b.input('x', -1, 4), folded])]);
    const text = program.describe(2);
    expect(section(text, 'prologue').join('\n')).toMatch(/exp/);
    const x = { data: Float32Array.of(1, 1, 1, 1), shape: [1, 4] };
    const run = () => program.runSync([x])[0]?.data[0];
    expect(run()).toBeCloseTo(Math.exp(Math.sin(1)), 5);
    scale.writeSync(Float32Array.of(0, 0, 0, 0));
    expect(run()).toBe(1);
  });

  test('two variables can take each other values', async () => {
    const b = new Builder();
    const [p, q] = [variable('p', 3), variable('q', 3)];
    q.writeSync(Float32Array.of(7, 8, 9));
    const [readP, readQ] = [b.graph.read(p), b.graph.read(q)];
    b.graph.update(p, readQ);
    b.graph.update(q, readP);
    const old = Array.from(p.readSync());
    b.graph.compileSync([]).runSync([]);
    expect(Array.from(p.readSync())).toEqual([7, 8, 9]);
    expect(Array.from(q.readSync())).toEqual(old);
  });

  test('an update sees the program order: read, update, read', () => {
    const b = new Builder();
    const counter = new native.Variable('counter', 'float32', [], 5);
    const before = b.graph.read(counter);
    b.graph.update(counter, b.op('add', [before, b.scalar(1)]));
    const between = b.graph.read(counter);
    b.graph.update(counter, b.op('mul', [between, b.scalar(10)]));
    const [first, second, third] = evaluate(b, [before, between, b.graph.read(counter)]);
    expect([first, second, third]).toEqual([[5], [6], [60]]);
    expect(Array.from(counter.readSync())).toEqual([60]);
  });

  test('a member of a group may be updated once more after the group', () => {
    const { b, weights, loss } = trainingStep(4, 3);
    const clipped = b.op('minimum', [b.graph.read(weights[0]), b.scalar(0.25)]);
    b.graph.update(weights[0], clipped);
    b.graph.compileSync([loss]).runSync([{ data: new Float32Array(8), shape: [2, 4] }]);
    expect(Math.max(...Array.from(weights[0].readSync()))).toBe(0.25);
    expect(Math.min(...Array.from(weights[0].readSync()))).toBeLessThan(-0.9);
  });

  test('memory of values that are never alive together is shared', () => {
    const b = new Builder();
    let x = b.input('x', -1, 64);
    for (let i = 0; i < 10; i++) x = b.op('matmul', [x, b.graph.read(variable(`w${i}`, 64, 64))]);
    const arena = Number(/arena (\d+) bytes/.exec(b.graph.compileSync([x]).describe(128))?.[1]);
    expect(arena).toBe(2 * 128 * 64 * 4);
  });
});
