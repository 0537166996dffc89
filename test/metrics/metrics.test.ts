import { describe, expect, test } from 'vitest';
import { compute, Metric, metrics, type NDArray, ops, type Tensor, trace } from '../../lib/index.js';

/** The result after several batches, each in its own run of one program. */
async function over(metric: Metric, batches: [unknown, unknown, unknown?][]): Promise<NDArray> {
  await compute(() => metric.resetState());
  const step = trace(({ y, p, w }: Record<string, Tensor>) => metric.updateState(y!, p!, w));
  for (const [y, p, w] of batches) await step.run({ y, p, ...(w ? { w } : {}) } as never);
  return compute(() => metric.result());
}

describe('accuracy', () => {
  test('binary: strictly above the threshold', async () => {
    const result = await over(metrics.binaryAccuracy(), [
      [
        [[1], [0], [1]],
        [[0.6], [0.5], [0.4]],
      ],
      [[[0]], [[0.1]]],
    ]);
    expect(result.item()).toBeCloseTo(3 / 4, 6);
  });

  test('categorical and sparse agree', async () => {
    const p = [
      [0.1, 0.7, 0.2],
      [0.5, 0.2, 0.3],
    ];
    expect(
      (
        await over(metrics.categoricalAccuracy(), [
          [
            [
              [0, 1, 0],
              [0, 0, 1],
            ],
            p,
          ],
        ])
      ).item(),
    ).toBe(0.5);
    expect((await over(metrics.sparseCategoricalAccuracy(), [[[1, 2], p]])).item()).toBe(0.5);
  });

  test('top k', async () => {
    const p = [
      [0.1, 0.5, 0.4],
      [0.6, 0.3, 0.1],
    ];
    expect((await over(metrics.sparseTopKCategoricalAccuracy({ k: 2 }), [[[2, 2], p]])).item()).toBe(0.5);
  });

  test('weights count', async () => {
    expect(
      (
        await over(metrics.binaryAccuracy(), [
          [
            [[1], [0]],
            [[0.9], [0.9]],
            [3, 1],
          ],
        ])
      ).item(),
    ).toBe(0.75);
  });
});

describe('precision and recall accumulate over batches', () => {
  const batches: [number[], number[]][] = [
    [
      [1, 1, 0, 0],
      [0.9, 0.2, 0.8, 0.1],
    ],
    [[1], [0.7]],
  ];
  test('precision', async () => expect((await over(metrics.precision(), batches)).item()).toBeCloseTo(2 / 3, 6));
  test('recall', async () => expect((await over(metrics.recall(), batches)).item()).toBeCloseTo(2 / 3, 6));
  test('0 / 0 is 0', async () => expect((await over(metrics.precision(), [[[1], [0.1]]])).item()).toBe(0));
  test('several thresholds give several numbers', async () => {
    expect((await over(metrics.recall({ thresholds: [0.15, 0.85] }), batches)).toNested()).toEqual([
      1,
      expect.closeTo(1 / 3, 6),
    ]);
  });
});

describe('AUC', () => {
  test('thresholds that were given stand in its config, without the ends; evenly spread ones do not', () => {
    const again = (auc: metrics.AUC): metrics.AUC => metrics.get(metrics.serialize(auc)) as metrics.AUC;
    const plain = metrics.auc();
    expect(plain.getConfig()).toMatchObject({ num_thresholds: 200 });
    expect(plain.getConfig()).not.toHaveProperty('thresholds');
    expect(again(plain).thresholds).toEqual(plain.thresholds);
    const given = metrics.auc({ thresholds: [0.5, 0.2] });
    expect(given.getConfig()).toMatchObject({ num_thresholds: 4, thresholds: [0.2, 0.5] });
    expect(again(given).thresholds).toEqual([-1e-7, 0.2, 0.5, 1 + 1e-7]);
    // As the first versions wrote it.
    expect(metrics.auc({ thresholds: given.thresholds }).thresholds).toEqual(given.thresholds);
  });

  // The chance that a positive scores above a negative, ties counting half, on scores apart from all thresholds.
  test('ROC agrees with the rank statistic', async () => {
    const scores = Array.from({ length: 300 }, (_, i) => (Math.sin(i * 12.9898) * 43758.5453) % 1).map(Math.abs);
    const labels = scores.map((score, i) => (score + ((i * 7) % 10) / 10 > 0.9 ? 1 : 0));
    let wins = 0;
    let pairs = 0;
    scores.forEach((a, i) => {
      scores.forEach((b, j) => {
        if (labels[i] !== 1 || labels[j] !== 0) return;
        pairs++;
        wins += a > b ? 1 : a === b ? 0.5 : 0;
      });
    });
    const area = await over(metrics.auc({ numThresholds: 2000 }), [[labels, scores]]);
    expect(area.item()).toBeCloseTo(wins / pairs, 3);
  });

  test('all right is 1 on both curves', async () => {
    for (const curve of ['ROC', 'PR'] as const)
      expect(
        (
          await over(metrics.auc({ curve }), [
            [
              [0, 0, 1, 1],
              [0.1, 0.3, 0.7, 0.9],
            ],
          ])
        ).item(),
      ).toBeCloseTo(1, 5);
  });
});

test('sums do not stall at 2^24', async () => {
  const sum = new metrics.Sum();
  const step = trace(({ x }: { x: Tensor }) => sum.updateState(x));
  await step.run({ x: [2 ** 24] });
  for (let i = 0; i < 5; i++) await step.run({ x: [1] });
  // float32 cannot hold 2^24 + 5, but what the sum lost is carried along and shows in the last place that it has.
  expect((await compute(() => sum.result())).item()).toBe(2 ** 24 + 4);
});

test('a class of its own keeps state by description', async () => {
  class Count extends Metric {
    private readonly seen = this.addState('seen', [], 'int32');
    override updateState(_y: never, yPred: Tensor): void {
      this.seen.assign(ops.add(this.seen.read(), ops.cast(ops.shape(yPred)[0]!, 'int32')));
    }
    override result(): Tensor {
      return this.seen.read();
    }
  }
  expect(
    (
      await over(new Count() as Metric, [
        [
          [0, 0],
          [0, 0],
        ],
        [[0], [0]],
      ])
    ).item(),
  ).toBe(3);
});

describe('configs of files', () => {
  test('of Keras may count intersections in any dtype', () => {
    const common = { name: 'iou', num_classes: 3, ignore_class: null, axis: -1 };
    const saved: [class_name: string, config: object][] = [
      ['IoU', { ...common, target_class_ids: [0, 1], sparse_y_true: true, sparse_y_pred: true }],
      ['MeanIoU', { ...common, sparse_y_true: true, sparse_y_pred: true }],
      ['BinaryIoU', { name: 'iou', target_class_ids: [1], threshold: 0.4 }],
      ['OneHotIoU', { ...common, target_class_ids: [0], sparse_y_pred: false }],
      ['OneHotMeanIoU', { ...common, sparse_y_pred: false }],
    ];
    for (const [class_name, config] of saved)
      for (const dtype of ['int32', 'int64', 'float32'])
        expect(metrics.get({ class_name, config: { ...config, dtype } } as never).name).toBe('iou');
  });

  test('of precision and recall with topK are read again', () => {
    for (const make of [metrics.precision, metrics.recall]) {
      const made = make({ topK: 2 });
      expect(metrics.get(metrics.serialize(made)).getConfig()).toEqual(made.getConfig());
    }
  });
});
