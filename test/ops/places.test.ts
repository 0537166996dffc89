import { describe, expect, test } from 'vitest';
import { compute, gradients, NDArray, ops, type Tensor, trace } from '../../lib/index.js';

// Sorting, searching, indices and segments: values by numpy's definitions, and their gradients.

const array = (shape: number[], at: (i: number) => number = (i) => Math.fround(Math.sin(3.1 * i + 0.4))): NDArray =>
  new NDArray(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => at(i)),
    shape,
  );
const nested = async (fn: () => Tensor): Promise<unknown> => (await compute(fn)).toNested();

describe('order and places', () => {
  test('sort, topK, median, quantile', async () => {
    const x = [
      [3, 1, 2, 5],
      [7, 9, 8, 0],
    ];
    expect(await nested(() => ops.sort(x))).toEqual([
      [1, 2, 3, 5],
      [0, 7, 8, 9],
    ]);
    expect(await nested(() => ops.sort(x, { axis: 0, descending: true }))).toEqual([
      [7, 9, 8, 5],
      [3, 1, 2, 0],
    ]);
    const top = await compute(() => ops.topK(x, 2));
    expect(top.values.toNested()).toEqual([
      [5, 3],
      [9, 8],
    ]);
    expect(top.indices.toNested()).toEqual([
      [3, 0],
      [1, 2],
    ]);
    expect(await nested(() => ops.median(x, { axis: 1 }))).toEqual([2.5, 7.5]);
    expect(await nested(() => ops.median([[3, 1, 2]], { axis: 1, keepdims: true }))).toEqual([[2]]);
    expect(await nested(() => ops.quantile([0, 1, 2, 3, 4], [0, 0.25, 1]))).toEqual([0, 1, 4]);
  });

  test('the gradient of sort goes back to where the elements came from', async () => {
    const [dx] = await compute(() => {
      const x = ops.cast([[3, 1, 2]], 'float32');
      return gradients(ops.sum(ops.multiply(ops.sort(x), [10, 20, 30])), [x]) as Tensor[];
    });
    expect(dx!.toNested()).toEqual([[30, 10, 20]]);
  });

  test('takeAlongAxis along each axis, negative indices, any batch', async () => {
    const step = trace(({ x, i }: { x: Tensor; i: Tensor }) => ops.takeAlongAxis(x, i, 1));
    const x = array([2, 3, 2], (i) => i);
    const i = new NDArray(Int32Array.of(2, -1, 0, 1), [2, 1, 2]);
    expect((await step.run({ x, i })).toNested()).toEqual([[[4, 5]], [[6, 9]]]);
    expect(
      await nested(() =>
        ops.takeAlongAxis(
          [
            [1, 2],
            [3, 4],
          ],
          [[1, 0]],
          0,
        ),
      ),
    ).toEqual([[3, 2]]);
  });

  test('scatter adds, scatterUpdate and sliceUpdate replace, and all pass gradients', async () => {
    expect(await nested(() => ops.scatter([[0], [2], [0]], [1, 2, 4], [4]))).toEqual([5, 0, 2, 0]);
    expect(
      await nested(() =>
        ops.scatter(
          [
            [0, 1],
            [1, 0],
          ],
          [5, 6],
          [2, 2],
        ),
      ),
    ).toEqual([
      [0, 5],
      [6, 0],
    ]);
    expect(await nested(() => ops.scatterUpdate([1, 2, 3], [[1]], [9]))).toEqual([1, 9, 3]);
    expect(
      await nested(() =>
        ops.sliceUpdate(
          [
            [1, 2],
            [3, 4],
          ],
          [1, 0],
          [[8, 9]],
        ),
      ),
    ).toEqual([
      [1, 2],
      [8, 9],
    ]);
    const [dx, du] = await compute(() => {
      const [x, u] = [ops.cast([1, 2, 3], 'float32'), ops.cast([9], 'float32')];
      return gradients(ops.sum(ops.multiply(ops.scatterUpdate(x, [[1]], u), [10, 20, 30])), [x, u]) as Tensor[];
    });
    expect(dx!.toNested()).toEqual([10, 0, 30]);
    expect(du!.toNested()).toEqual([20]);
  });

  test('searchsorted, digitize, bincount, segments, one place in many axes', async () => {
    expect(await nested(() => ops.searchsorted([1, 2, 2, 3], [0, 2, 3, 9]))).toEqual([0, 1, 3, 4]);
    expect(await nested(() => ops.searchsorted([1, 2, 2, 3], [0, 2, 3, Number.NaN], { side: 'right' }))).toEqual([
      0, 3, 4, 4,
    ]);
    expect(await nested(() => ops.digitize([0, 1, 1.5, 2], [1, 2]))).toEqual([0, 1, 1, 2]);
    expect(await nested(() => ops.bincount([1, 1, 3]))).toEqual([0, 2, 0, 1]);
    expect(await nested(() => ops.bincount([1, 1, 3], { weights: [0.5, 1, 2], minlength: 5 }))).toEqual([
      0, 1.5, 0, 2, 0,
    ]);
    expect(
      await nested(() =>
        ops.segmentSum(
          [
            [1, 2],
            [3, 4],
            [5, 6],
          ],
          [0, 2, 0],
          { numSegments: 3 },
        ),
      ),
    ).toEqual([
      [6, 8],
      [0, 0],
      [3, 4],
    ]);
    expect(
      await nested(() =>
        ops.segmentMax(
          [
            [1, 2],
            [3, 4],
            [5, 0],
          ],
          [0, 1, 0],
          { numSegments: 2 },
        ),
      ),
    ).toEqual([
      [5, 2],
      [3, 4],
    ]);
    const [row, column] = await compute(() => ops.unravelIndex([5, 7], [3, 4]));
    expect([row!.toNested(), column!.toNested()]).toEqual([
      [1, 1],
      [1, 3],
    ]);
  });
});
