import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NativeVariable, native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';

// A variable replaced by select(mask, new, itself): in place only the rows that the mask chooses are touched.

const { threads, parallelThreshold } = { ...native.info(), parallelThreshold: 10_000 };
beforeAll(() => native.configure({ parallelThreshold: 0 }));
afterAll(() => native.configure({ threads, parallelThreshold }));

const shape = [2, 5, 3, 7];

/** What numpy's broadcasting of `dims` to `shape` reads for the flat element i. */
function broadcastIndex(i: number, dims: readonly number[]): number {
  let [index, stride, rest] = [0, 1, i];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const own = dims[axis - (shape.length - dims.length)] ?? 1;
    if (own !== 1) index += (rest % shape[axis]!) * stride;
    stride *= own;
    rest = Math.floor(rest / shape[axis]!);
  }
  return index;
}

describe.each([
  { mask: [2, 5, 1, 1], value: shape },
  { mask: [2, 5, 1, 1], value: [1, 1, 3, 7] },
  { mask: [2, 1, 1, 1], value: [7] },
  { mask: [1, 5, 1, 1], value: shape },
  { mask: [5, 1, 1], value: [1] },
  { mask: [2, 5, 3, 7], value: [3, 7] },
  { mask: [1], value: shape },
])('mask $mask, new values $value', ({ mask, value }) => {
  test.each([1, 2, 3])('on %i threads', (count) => {
    native.configure({ threads: count });
    const state: NativeVariable = variable('state', ...shape);
    const b = new Builder();
    const chosen = b.graph.input('mask', 'bool', mask);
    const next = b.op('select', [chosen, b.input('value', ...value), b.graph.read(state)]);
    b.graph.update(state, next);
    const program = b.graph.compileSync([b.op('neg', [next])]);
    const expected = state.readSync() as Float32Array;
    for (let step = 0; step < 4; step++) {
      const size = (dims: number[]) => dims.reduce((a, c) => a * c, 1);
      const flags = Uint8Array.from({ length: size(mask) }, (_, i) => Number(Math.sin(5 * i + step) > 0.3));
      const values = Float32Array.from({ length: size(value) }, (_, i) => Math.cos(i + 10 * step));
      const [negated] = program.runSync([
        { data: flags, shape: mask },
        { data: values, shape: value },
      ]);
      for (let i = 0; i < expected.length; i++) {
        if (flags[broadcastIndex(i, mask)]) expected[i] = values[broadcastIndex(i, value)]!;
      }
      expect(state.readSync()).toEqual(expected);
      expect(negated!.data).toEqual(expected.map((number) => -number));
    }
  });
});
