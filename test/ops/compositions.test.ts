import { describe, expect, test } from 'vitest';
import { compute, gradients, type NDArray, ops, type Tensor } from '../../lib/index.js';

// Ops that are made of others: values by numpy's definitions.

const nested = async (fn: () => Tensor): Promise<unknown> => (await compute(fn)).toNested();

describe('arrangement', () => {
  const m = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  test.each<[string, () => Tensor, unknown]>([
    [
      'roll',
      () => ops.roll(m, 1, 1),
      [
        [3, 1, 2],
        [6, 4, 5],
      ],
    ],
    [
      'roll backwards, flat',
      () => ops.roll(m, -2),
      [
        [3, 4, 5],
        [6, 1, 2],
      ],
    ],
    [
      'swapaxes',
      () => ops.swapaxes(m, 0, 1),
      [
        [1, 4],
        [2, 5],
        [3, 6],
      ],
    ],
    [
      'moveaxis',
      () => ops.moveaxis([[[1, 2]], [[3, 4]]], 0, -1),
      [
        [
          [1, 3],
          [2, 4],
        ],
      ],
    ],
    [
      'rot90',
      () => ops.rot90(m),
      [
        [3, 6],
        [2, 5],
        [1, 4],
      ],
    ],
    [
      'rot90 backwards',
      () => ops.rot90(m, { k: -1 }),
      [
        [4, 1],
        [5, 2],
        [6, 3],
      ],
    ],
    [
      'tril',
      () => ops.tril(m),
      [
        [1, 0, 0],
        [4, 5, 0],
      ],
    ],
    [
      'triu',
      () => ops.triu(m, 1),
      [
        [0, 2, 3],
        [0, 0, 6],
      ],
    ],
    ['diag of a matrix', () => ops.diag(m, 1), [2, 6]],
    [
      'diag of a vector',
      () => ops.diag([1, 2], -1),
      [
        [0, 0, 0],
        [1, 0, 0],
        [0, 2, 0],
      ],
    ],
    ['diagonal', () => ops.diagonal(m, { offset: -1 }), [4]],
    ['trace', () => ops.trace(m), 6],
    ['diff', () => ops.diff([1, 4, 9, 16], { n: 2 }), [2, 2]],
    ['pad reflect', () => ops.pad([1, 2, 3], [[2, 1]], { mode: 'reflect' }), [3, 2, 1, 2, 3, 2]],
    ['pad symmetric', () => ops.pad([1, 2, 3], [[2, 1]], { mode: 'symmetric' }), [2, 1, 1, 2, 3, 3]],
    ['pad edge', () => ops.pad([1, 2, 3], [[2, 1]], { mode: 'edge' }), [1, 1, 1, 2, 3, 3]],
    ['pad with a constant', () => ops.pad([1], [[1, 0]], { constantValues: 7 }), [7, 1]],
    ['arange in halves', () => ops.arange(0, 2, 0.5), [0, 0.5, 1, 1.5]],
    ['linspace', () => ops.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]],
    [
      'tri',
      () => ops.tri(2, 3, 1),
      [
        [1, 1, 0],
        [1, 1, 1],
      ],
    ],
  ])('%s', async (_name, fn, want) => {
    expect(await nested(fn)).toEqual(want);
  });

  test('meshgrid', async () => {
    const [x, y] = await compute(() =>
      ops.meshgrid(
        [
          [1, 2, 3],
          [4, 5],
        ].map((v) => ops.cast(v, 'float32')),
      ),
    );
    expect([x!.toNested(), y!.toNested()]).toEqual([
      [
        [1, 2, 3],
        [1, 2, 3],
      ],
      [
        [4, 4, 4],
        [5, 5, 5],
      ],
    ]);
  });
});

describe('products and norms', () => {
  const [m, v] = [
    [
      [1, 2],
      [3, 4],
    ],
    [5, 6],
  ];
  test.each<[string, () => Tensor, unknown]>([
    ['dot of vectors', () => ops.dot([1, 2], v), 17],
    ['dot of a matrix and a vector', () => ops.dot(m, v), [17, 39]],
    ['tensordot', () => ops.tensordot(m, m, 2), 30],
    [
      'tensordot over listed axes',
      () => ops.tensordot(m, m, [[0], [1]]),
      [
        [7, 15],
        [10, 22],
      ],
    ],
    [
      'outer',
      () => ops.outer([1, 2], v),
      [
        [5, 6],
        [10, 12],
      ],
    ],
    [
      'inner',
      () => ops.inner(m, m),
      [
        [5, 11],
        [11, 25],
      ],
    ],
    ['vdot', () => ops.vdot(m, m), 30],
    ['cross', () => ops.cross([1, 0, 0], [0, 1, 0]), [0, 0, 1]],
    [
      'kron',
      () => ops.kron([[1, 2]], [[1], [10]]),
      [
        [1, 2],
        [10, 20],
      ],
    ],
    ['norm 1', () => ops.norm([[3, -4]], { ord: 1, axis: 1 }), [7]],
    ['norm ∞', () => ops.norm([[3, -4]], { ord: Number.POSITIVE_INFINITY, axis: 1 }), [4]],
    ['norm 0', () => ops.norm([3, 0, -4], { ord: 0 }), 2],
    [
      'average',
      () =>
        ops.average(
          [
            [1, 3],
            [2, 6],
          ],
          { axis: 1, weights: [3, 1] },
        ),
      [1.5, 3],
    ],
    [
      'max with an initial',
      () =>
        ops.max(
          [
            [1, 3],
            [0, 1],
          ],
          { axis: 1, initial: 2 },
        ),
      [3, 2],
    ],
  ])('%s', async (_name, fn, want) => {
    expect(await nested(fn)).toEqual(want);
  });
});

describe('functions of the primitives', () => {
  const rows: [string, (x: Tensor) => Tensor, (x: number) => number, number[]][] = [
    ['sinh', ops.sinh, Math.sinh, [-3, -1e-4, 0, 0.5, 10]],
    ['cosh', ops.cosh, Math.cosh, [-3, 0, 0.5, 10]],
    ['arcsin', ops.arcsin, Math.asin, [-1, -0.3, 0, 1e-4, 0.9999, 1]],
    ['arccos', ops.arccos, Math.acos, [-0.9999, -0.3, 0, 0.5, 1]],
    ['arcsinh', ops.arcsinh, Math.asinh, [-50, -1e-4, 0, 2, 1e6]],
    ['arccosh', ops.arccosh, Math.acosh, [1, 1.0001, 2, 1e6]],
    ['arctanh', ops.arctanh, Math.atanh, [-0.99, -1e-4, 0, 0.5]],
    ['log2', ops.log2, Math.log2, [0.1, 1, 8]],
    ['log10', ops.log10, Math.log10, [0.1, 1, 100]],
  ];
  test.each(rows)('%s', async (_name, fn, want, at) => {
    const points = at.map(Math.fround);
    const got = await compute(() => fn(ops.cast(points, 'float32')));
    // A handful of operations of at most 3 ulp each.
    for (const [i, x] of points.entries())
      expect(Math.abs(got.data[i]! - want(x))).toBeLessThanOrEqual(2e-6 * Math.abs(want(x)) + 1e-12);
  });

  test('arctan2 in all quadrants, hypot and logaddexp without overflow', async () => {
    const [y, x] = [
      [1, 1, -1, -1, 0, 1, 0],
      [1, -1, -1, 1, -1, 0, 0],
    ];
    const angle = await compute(() => ops.arctan2(y, x));
    for (const [i, got] of angle.data.entries()) expect(got).toBeCloseTo(Math.atan2(y[i]!, x[i]!), 6);
    expect(await nested(() => ops.hypot([3e30, 0], [4e30, 0]))).toEqual([Math.fround(5e30), 0]);
    expect((await compute(() => ops.logaddexp([1000], [1000]))).data[0]).toBeCloseTo(1000 + Math.LN2, 3);
    expect(await nested(() => ops.isclose([1, 1, Number.NaN], [1.000001, 2, Number.NaN]))).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('linear algebra', () => {
  const a = [
    [4, 1, 0.5],
    [1, 3, 0.2],
    [0.5, 0.2, 2],
  ];
  const close = (got: NDArray, want: number[][]): void =>
    want.flat().forEach((value, i) => {
      expect(got.data[i]).toBeCloseTo(value, 5);
    });

  test('factors multiply to the matrix, tall and wide', async () => {
    const tall = [
      [1, 2],
      [3, -4],
      [5, 6],
    ];
    const wide = [
      [1, 3, 5],
      [2, -4, 6],
    ];
    for (const x of [tall, wide, a]) {
      const [fromQr, fromSvd] = await compute(() => {
        const { q, r } = ops.qr(x);
        const { u, s, vt } = ops.svd(x);
        return [ops.matmul(q, r), ops.matmul(ops.multiply(u, s), vt)];
      });
      close(fromQr!, x);
      close(fromSvd!, x);
    }
    close(await compute(() => ops.matmul(ops.cholesky(a), ops.cholesky(a), { transposeB: true })), a);
    close(await compute(() => ops.matmul(ops.inv(a), a)), [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
  });

  test('least squares: the normal equations hold, also for a matrix without full rank', async () => {
    const [x, b] = [
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [1, -1, 2],
    ];
    const rest = await compute(() => {
      const solution = ops.lstsq(x, b);
      return ops.matmul(ops.subtract(ops.matmul(x, solution), b), x);
    });
    close(rest, [[0, 0]]);
    close(
      await compute(() =>
        ops.lstsq(
          [
            [1, 1],
            [1, 1],
          ],
          [2, 4],
        ),
      ),
      [[1.5, 1.5]],
    );
  });

  test('the gradient of cholesky, by differences', async () => {
    const weights = [
      [1, 0, 0],
      [-2, 3, 0],
      [0.5, 1, 2],
    ];
    const objective = (x: Tensor): Tensor => ops.sum(ops.multiply(ops.cholesky(x), weights));
    const [dx] = await compute(() => {
      const x = ops.cast(a, 'float32');
      return gradients(objective(x), [x]) as Tensor[];
    });
    for (const [i, j] of [
      [0, 0],
      [1, 0],
      [2, 1],
    ] as const) {
      // Both halves move together: the matrix stays symmetric.
      const moved = (h: number) =>
        a.map((row, r) => row.map((v, c) => ((r === i && c === j) || (r === j && c === i) ? v + h : v)));
      const [up, down] = await compute(() => [
        objective(ops.cast(moved(0.01), 'float32')),
        objective(ops.cast(moved(-0.01), 'float32')),
      ]);
      const slope = (up!.item() - down!.item()) / 0.02;
      expect(dx!.at(i, j) + (i === j ? 0 : dx!.at(j, i))).toBeCloseTo(slope, 3);
    }
  });

  test('determinants as logarithms', async () => {
    const { sign, logabsdet } = await compute(() =>
      ops.slogdet([
        [0, 2],
        [3, 1],
      ]),
    );
    expect([sign.item(), logabsdet.item()]).toEqual([-1, expect.closeTo(Math.log(6), 5)]);
  });

  test('Fourier transforms', async () => {
    const x = [1, 2, -1, 0.5, 3];
    const [re, im] = await compute(() => ops.rfft(x));
    for (let k = 0; k < 3; k++) {
      const angle = (i: number): number => (-2 * Math.PI * k * i) / 5;
      expect(re!.data[k]).toBeCloseTo(
        x.reduce((sum, v, i) => sum + v * Math.cos(angle(i)), 0),
        5,
      );
      expect(im!.data[k]).toBeCloseTo(
        x.reduce((sum, v, i) => sum + v * Math.sin(angle(i)), 0),
        5,
      );
    }
    const [full, imaginary] = await compute(() => ops.fft([x, x.map(() => 0)]));
    expect(full!.data[4]).toBeCloseTo(full!.data[1]!, 5);
    expect(imaginary!.data[4]).toBeCloseTo(-imaginary!.data[1]!, 5);
  });
});
