import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  compute,
  customGradient,
  gradients,
  input,
  layers,
  NDArray,
  ops,
  setRandomSeed,
  stopGradient,
  type Tensor,
  trace,
  Variable,
  valueAndGrad,
} from '../../lib/index.js';

describe('compute', () => {
  test('gives numbers in the structure that the function returns', async () => {
    const { product, parts } = await compute(() => ({
      product: ops.matmul([[1, 2]], [[3], [4]]),
      parts: ops.split(ops.arange(6), 3),
    }));
    expect(product.toNested()).toEqual([[11]]);
    expect(parts.map((part) => part.toNested())).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
  });

  test('a function that is async is refused', async () => {
    await expect(compute((async () => ops.add(1, 2)) as never)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_STATE' });
  });

  test('an op outside a trace says where ops belong', () => {
    expect(() => ops.add([1], [2])).toThrow(/compute\(\(\) =>/);
  });
});

describe('trace', () => {
  test('runs JavaScript once for all batch sizes, again for other dimensions', async () => {
    let calls = 0;
    const step = trace(({ x }: { x: Tensor }) => {
      calls++;
      return ops.sum(x, { axis: 1 });
    });
    for (const rows of [1, 5, 32]) {
      const sums = await step.run({ x: new NDArray(new Float32Array(rows * 2).fill(1), [rows, 2]) });
      expect(sums.shape).toEqual([rows]);
    }
    expect(calls).toBe(1);
    await step.run({ x: new NDArray(new Float32Array(6), [2, 3]) });
    expect(calls).toBe(2);
  });

  test('the batch size is a handle for shapes and a number in formulas', async () => {
    const step = trace(({ x }: { x: Tensor }) => {
      const [n] = ops.shape(x);
      return { zeros: ops.zeros([n!, 2]), mean: ops.divide(ops.sum(x), n!) };
    });
    const { zeros, mean } = await step.run({ x: [[1], [2], [6]] });
    expect(zeros.shape).toEqual([3, 2]);
    expect(mean.item()).toBe(3);
  });

  test('variables follow program order and are committed at the end of the step', async () => {
    const count = new Variable('count', [], { initialValue: 10 });
    const step = trace(() => {
      const before = count.read();
      count.assign(before.add(1));
      const between = count.read();
      count.assign(between.mul(2));
      return [before, between, count.read()];
    });
    const run = async (): Promise<number[]> => (await step.run({})).map((array) => array.item());
    expect(await run()).toEqual([10, 11, 22]);
    expect(await run()).toEqual([22, 23, 46]);
    expect((await count.value()).item()).toBe(46);
  });

  test('an aborted signal rejects with its reason', async () => {
    const step = trace(({ x }: { x: Tensor }) => ops.exp(x));
    const reason = new Error('changed my mind');
    await expect(step.run({ x: [1] }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('a tensor has no value in JavaScript', () => {
  const x = input({ shape: [3], name: 'pixels' });

  test.each([
    ['a comparison', () => (x as never) > 0],
    ['a template string', () => `${x}`],
    ['arithmetic', () => (x as never) * 2],
    ['JSON', () => JSON.stringify({ x })],
  ])('%s is an error with a sentence', (_, use) => {
    expect(use).toThrow(/has no value while the computation is being described/);
  });

  test('console.log prints a sentence', () => {
    expect(inspect(x)).toMatch(/^Tensor float32 \[null, 3\] \(a step of a computation/);
  });

  test('a tensor of a finished trace is refused', async () => {
    let kept: Tensor | undefined;
    await compute(() => (kept = ops.cast([1, 2], 'float32')));
    await expect(compute(() => ops.add(kept!, 1))).rejects.toThrow(/belongs to another trace/);
  });
});

describe('gradients', () => {
  test('of a polynomial, and of the gradient', async () => {
    const [value, first, second] = await compute(() => {
      const x = ops.cast([2, -1], 'float32');
      const y = ops.power(x, 3);
      const dx = gradients(ops.sum(y), [x])[0]!;
      return [y, dx, gradients(ops.sum(dx), [x])[0]!];
    });
    expect(value!.toNested()).toEqual([8, -1]);
    expect(first!.toNested()).toEqual([12, 3]);
    expect(second!.toNested()).toEqual([12, -6]);
  });

  test('null where nothing flows, also behind stopGradient', async () => {
    await compute(() => {
      const [x, y] = [ops.cast([1], 'float32'), ops.cast([2], 'float32')];
      expect(gradients(ops.sum(ops.square(x)), [y])).toEqual([null]);
      expect(gradients(ops.sum(ops.multiply(stopGradient(x), y)), [x])).toEqual([null]);
      return x;
    });
  });

  test('valueAndGrad takes the mean of a loss with several numbers', async () => {
    const w = new Variable('w', [2], { initialValue: new NDArray(Float32Array.of(1, 3)) });
    const result = await compute(() => {
      const { value, grads } = valueAndGrad(() => ops.square(w), [w]);
      return { value, grad: grads[0]! };
    });
    expect(result.value.item()).toBe(5);
    expect(result.grad.toNested()).toEqual([1, 3]);
  });

  test('customGradient replaces the derivative', async () => {
    const clipped = customGradient((x) => ({
      value: ops.square(x),
      gradient: (dy) => ops.clip(ops.multiply(dy, ops.multiply(x, 2)), -1, 1),
    }));
    const grad = await compute(() => {
      const x = ops.cast([0.25, 3], 'float32');
      return gradients(ops.sum(clipped(x)), [x])[0]!;
    });
    expect(grad.toNested()).toEqual([0.5, 1]);
  });
});

test('setRandomSeed makes weights and dropout repeatable', async () => {
  const draw = async (): Promise<NDArray> => {
    setRandomSeed(3);
    const dense = layers.dense({ units: 4 });
    const dropout = layers.dropout({ rate: 0.5 });
    return compute(() => dropout.apply(dense.apply(ops.ones([2, 3])), { training: true }));
  };
  const [a, b] = [await draw(), await draw()];
  expect(a.data).toEqual(b.data);
  expect(Array.from(a.data).some((value) => value !== 0)).toBe(true);
});
