// Type-level tests of the public API: npm run check compiles this file, nothing runs it.
import {
  Dataset,
  functional,
  input,
  type Logs,
  layers,
  losses,
  Model,
  type NDArray,
  ops,
  optimizers,
  sequential,
  type Tensor,
  trace,
} from '../../lib/index.js';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}

const a = input({ shape: [2] });

async function predictions(): Promise<void> {
  const one = await functional({ inputs: a, outputs: a }).predict([[1, 2]]);
  same<typeof one, NDArray>(true);
  const list = await functional({ inputs: a, outputs: [a, a] }).predict([[1, 2]]);
  same<typeof list, [NDArray, NDArray]>(true);
  const many = await functional({ inputs: a, outputs: [a, a] as Tensor[] }).predict([[1, 2]]);
  same<typeof many, NDArray[]>(true);
  const inner = await functional({ inputs: a, outputs: { heads: [a, a], last: a } }).predict([[1, 2]]);
  same<typeof inner, { heads: [NDArray, NDArray]; last: NDArray }>(true);
  const record = await functional({ inputs: a, outputs: { left: a, right: a } }).predict([[1, 2]]);
  same<typeof record, { left: NDArray; right: NDArray }>(true);
  const stacked = await sequential([layers.dense({ units: 1 })]).predict(Float32Array.of(1));
  same<typeof stacked, NDArray>(true);
  const logs = await new Model().evaluate([[1]], [1]);
  same<typeof logs, Logs>(true);
  const { history, epoch } = await new Model().fit([[1]], [1], {
    callbacks: {
      onEpochEnd: (_, { loss, val_loss }) => same<[typeof loss, typeof val_loss], [number, number | undefined]>(true),
    },
  });
  same<typeof history.loss, number[]>(true);
  same<typeof history.val_loss, number[] | undefined>(true);
  same<typeof epoch, number[]>(true);
}

async function traced(): Promise<void> {
  const step = trace(({ x, y }: { x: Tensor; y: Tensor }) => ({ loss: losses.mse(y, x), parts: [x, y] as const }));
  const { loss, parts } = await step.run({ x: [[1]], y: Float32Array.of(1) });
  same<typeof loss, NDArray>(true);
  same<(typeof parts)[0], NDArray>(true);
  // @ts-expect-error y is missing
  await step.run({ x: [[1]] });
}

function options(): void {
  // @ts-expect-error units is required
  layers.dense({});
  // @ts-expect-error no such activation
  layers.dense({ units: 1, activation: 'rellu' });
  // @ts-expect-error no such optimizer
  sequential([]).compile({ optimizer: 'adan' });
  // @ts-expect-error no such loss
  sequential([]).compile({ loss: 'binarycrossentropie' });
  sequential([]).compile({
    optimizer: optimizers.adam({ learningRate: 1e-3 }),
    loss: (y: Tensor, p: Tensor) => ops.abs(ops.subtract(y, p)),
    metrics: ['accuracy'],
  });
  // @ts-expect-error a sample needs x
  Dataset.from({ y: [1] });
}

export { options, predictions, traced };
