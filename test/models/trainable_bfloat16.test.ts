import { expect, test } from 'vitest';
import { Layer, layers, type Shape, sequential, type Tensor, Variable } from '../../lib/index.js';
import { wave } from './quantized.js';

// Numbers of bfloat16 are stored for reading: optimizers leave them alone.

class Table extends Layer {
  table!: Variable;
  readonly own = new Variable('own', [2], { dtype: 'bfloat16', initialValue: 3 });

  override build(shape: Shape): void {
    this.table = this.addWeight('table', [shape.at(-1)!], { dtype: 'bfloat16', initializer: 'ones' });
  }

  override call(x: Tensor): Tensor {
    return x.mul(this.table.read()).add(this.own.read().sum());
  }
}

test('fit trains what is around variables of bfloat16', async () => {
  const table = new Table();
  const model = sequential([layers.dense({ units: 3, inputShape: [2] }), table]);
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  expect(table.trainableWeights).toEqual([]);
  const before = await model.getWeights();
  await model.fit(wave([4, 2], 1), wave([4, 3], 2), { verbose: 0 });
  const after = await model.getWeights();
  expect(after[0]!.data).not.toEqual(before[0]!.data);
  expect([...(await table.table.value()).data]).toEqual([1, 1, 1]);
  table.trainable = true;
  expect(table.trainableWeights).toEqual([]);
});

test('asking for training is refused with the fix', () => {
  const fix = /bfloat16 .* pass trainable: false, or store it as float32/;
  expect(() => new Variable('v', [2], { dtype: 'bfloat16', trainable: true })).toThrow(fix);
  const layer = new Table();
  expect(() => layer.addWeight('w', [2], { dtype: 'bfloat16', trainable: true })).toThrow(fix);
  expect(() => new Table({ trainable: false }).addWeight('w', [2], { dtype: 'bfloat16', trainable: true })).toThrow(
    fix,
  );
  expect(layer.addWeight('w', [2], { dtype: 'bfloat16', trainable: false }).trainable).toBe(false);
});

test('a dtype that is not known is named with those that are', () => {
  expect(() => new Variable('v', [2], { dtype: 'bf16' as never })).toThrow(
    /variable "v": dtype must be one of 'float32'.*got the string "bf16"; did you mean "bfloat16"\?/,
  );
  expect(() => new Variable('v', [2], { dtype: 5 as never })).toThrow(/got 5\./);
});
