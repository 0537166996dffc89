import { describe, expect, test } from 'vitest';
import {
  functional,
  input,
  Layer,
  layers,
  losses,
  type Model,
  NDArray,
  optimizers,
  type Shape,
  schedules,
  setRandomSeed,
  type Tensor,
  type Variable,
} from '../../lib/index.js';
import { Characters } from './characters.js';
import { holdTo } from './judge.js';
import { differsFrom, type Fingerprint, isThere, recipe, type Table } from './sources.js';

// A small language model: four causal transformer blocks over 64 characters.

class AddPosition extends Layer {
  position!: Variable;
  override build(shape: Shape): void {
    this.position = this.addWeight('position', shape.slice(1), { initializer: 'randomUniform' });
  }
  override call(x: Tensor): Tensor {
    return x.add(this.position);
  }
}

function gpt(vocabulary: number, context: number): Model<NDArray> {
  const [width, heads] = [128, 4];
  const ids = input({ shape: [context], dtype: 'int32' });
  let x = new AddPosition().apply(layers.embedding({ inputDim: vocabulary, outputDim: width }).apply(ids));
  for (let block = 0; block < 4; ++block) {
    const normed = layers.layerNormalization().apply(x);
    const attention = layers.multiHeadAttention({ numHeads: heads, keyDim: width / heads });
    x = layers.add([x, attention.apply(normed, { value: normed, useCausalMask: true })]);
    const wide = layers.dense({ units: 4 * width, activation: 'gelu' }).apply(layers.layerNormalization().apply(x));
    x = layers.add([x, layers.dense({ units: width }).apply(wide)]);
  }
  const logits = layers.dense({ units: vocabulary }).apply(layers.layerNormalization().apply(x));
  return functional({ inputs: ids, outputs: logits });
}

// One seed takes minutes; the nightly tests run those of the recipe.
const isLong = process.env.CHAINRULE_TEST_LONG === '1';

const ids = ({ data, shape }: Table): NDArray<Int32Array> => new NDArray(Int32Array.from(data), shape);

describe.skipIf(!isThere)('whole jobs on characters', () => {
  test('char-gpt', { timeout: 3_600_000 }, async () => {
    const job = recipe('char-gpt');
    const [context, steps, windows] = [64, 500, 256];
    const { batchSize } = job.training;
    const text = new Characters(job.data, context);
    const starts = text.trainingStarts(steps * batchSize);
    const [train, trainTargets] = text.windows(text.training, starts);
    const evenly = (part: Int32Array) => text.windows(part, text.evenStarts(part, windows));
    const [ofTraining, ofValidation] = [evenly(text.training), evenly(text.validation)];
    const checks = job.inputCheck as unknown as Record<string, Fingerprint>;
    const found: Record<string, Table> = {
      startsOfTrainingWindows: { data: Float32Array.from(starts), shape: [starts.length] },
      train,
      trainTargets,
      evaluateTrain: ofTraining[0],
      evaluateValidation: ofValidation[0],
    };
    for (const [name, table] of Object.entries(found)) expect(differsFrom(table, checks[name]!), name).toEqual([]);

    await holdTo({ ...job, seeds: isLong ? job.seeds : [0] }, async (seed) => {
      setRandomSeed(seed);
      const model = gpt(text.vocabulary, context);
      expect(model.countParams()).toBe(818241);
      model.compile({
        optimizer: optimizers.adamW({
          learningRate: schedules.cosineDecay({
            initialLearningRate: 0,
            decaySteps: 400,
            alpha: 0.1,
            warmupTarget: 1e-3,
            warmupSteps: 100,
          }),
          weightDecay: 0.004,
        }),
        loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
      });
      const begin = performance.now();
      await model.fit(ids(train), ids(trainTargets), { batchSize, epochs: 1, shuffle: false, verbose: 0 });
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      const lossOn = async ([x, y]: [Table, Table]): Promise<number> => {
        const logs = await model.evaluate(ids(x), ids(y), { batchSize, verbose: 0 });
        return logs.loss!;
      };
      const result = { trainLoss: await lossOn(ofTraining), validationLoss: await lossOn(ofValidation) };
      console.log(`char-gpt seed ${seed}: ${seconds} s, ${JSON.stringify(result)}`);
      return result;
    });
  });
});
