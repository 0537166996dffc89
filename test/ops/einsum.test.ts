import { describe, expect, test } from 'vitest';
import { compute, NDArray, ops, type Tensor, trace } from '../../lib/index.js';

// Sums of products over named axes, against loops; a batch of any size passes through.

const array = (shape: number[], at: (i: number) => number = (i) => Math.fround(Math.sin(3.1 * i + 0.4))): NDArray =>
  new NDArray(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => at(i)),
    shape,
  );
const nested = async (fn: () => Tensor): Promise<unknown> => (await compute(fn)).toNested();

describe('einsum', () => {
  const [a, b] = [array([2, 3, 4]), array([2, 4, 5])];
  const sum = (n: number, term: (i: number) => number): number =>
    Array.from({ length: n }, (_, i) => term(i)).reduce((x, y) => x + y, 0);

  test.each([
    ['bij,bjk->bik', [2, 3, 5], (n: number, i: number, k: number) => sum(4, (j) => a.at(n, i, j) * b.at(n, j, k))],
    ['bij,bjk->kbi', [5, 2, 3], (k: number, n: number, i: number) => sum(4, (j) => a.at(n, i, j) * b.at(n, j, k))],
    ['bij,bjk', [3, 5], (i: number, k: number) => sum(2, (n) => sum(4, (j) => a.at(n, i, j) * b.at(n, j, k)))],
    ['bij,bjk->bj', [2, 4], (n: number, j: number) => sum(3, (i) => sum(5, (k) => a.at(n, i, j) * b.at(n, j, k)))],
    [
      '...ij,...jk->...ik',
      [2, 3, 5],
      (n: number, i: number, k: number) => sum(4, (j) => a.at(n, i, j) * b.at(n, j, k)),
    ],
    [
      'bij,cjk->bcik',
      [2, 2, 3, 5],
      (n: number, m: number, i: number, k: number) => sum(4, (j) => a.at(n, i, j) * b.at(m, j, k)),
    ],
  ] as [string, number[], (...index: number[]) => number][])('%s', async (equation, shape, want) => {
    const got = await compute(() => ops.einsum(equation, a, b));
    expect(got.shape).toEqual(shape);
    const index = shape.map(() => 0);
    for (let at = 0; at < got.size; at++) {
      expect(got.data[at]).toBeCloseTo(want(...index), 5);
      for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
    }
  });

  test('one operand: diagonals, sums, transposes; three operands', async () => {
    const m = array([3, 3]);
    const three = [0, 1, 2];
    expect(await nested(() => ops.einsum('ii->i', m))).toEqual(three.map((i) => m.at(i, i)));
    expect(
      await nested(() =>
        ops.einsum('ij->j', [
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([4, 6]);
    expect(
      await nested(() =>
        ops.einsum('ij->ji', [
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(
      await nested(() =>
        ops.einsum(
          'i,ij,j->',
          [1, 2],
          [
            [1, 2],
            [3, 4],
          ],
          [1, 10],
        ),
      ),
    ).toBe(21 + 2 * 43);
  });

  test('a batch of any size stays an axis', async () => {
    const step = trace(({ q, k }: { q: Tensor; k: Tensor }) => ops.einsum('bqhd,bkhd->bhqk', q, k));
    for (const rows of [1, 3]) {
      const [q, k] = [array([rows, 2, 2, 3]), array([rows, 4, 2, 3])];
      const out = await step.run({ q, k });
      expect(out.shape).toEqual([rows, 2, 2, 4]);
      expect(out.at(rows - 1, 1, 0, 3)).toBeCloseTo(
        [0, 1, 2].reduce((total, d) => total + q.at(rows - 1, 0, 1, d) * k.at(rows - 1, 3, 1, d), 0),
        5,
      );
    }
  });

  test.each([
    ['ij,jk->ik', /axis "j" has two sizes/],
    ['ij,kl->iq', /names "q"/],
    ['ijk,jk->i', /does not name the 2 axes/],
    ['ij', /1 operands are named but 2/],
  ])('refuses %s', async (equation, message) => {
    await expect(compute(() => ops.einsum(equation, array([2, 3]), array([4, 3])))).rejects.toThrow(message);
  });
});
