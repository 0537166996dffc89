import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import {
  Dataset,
  functional,
  input,
  layers,
  loadModel,
  type NDArray,
  StringArray,
  sequential,
} from '../../lib/index.js';

const texts = ['good film', 'bad film', 'very good', 'very bad', 'good good', 'awful, bad'];
const labels = [1, 0, 1, 0, 1, 0];

async function sentiment() {
  const vectorize = layers.textVectorization({ outputSequenceLength: 3 });
  await vectorize.adapt(texts);
  const model = sequential([
    vectorize,
    layers.embedding({ inputDim: 10, outputDim: 4 }),
    layers.globalAveragePooling1d(),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return { model, vectorize };
}

describe('a model that begins with texts', () => {
  test('learns, predicts and evaluates as the traced part does on ids', async () => {
    const { model, vectorize } = await sentiment();
    const before = await model.evaluate(texts, labels);
    await model.fit(texts, labels, { epochs: 40, batchSize: 2, verbose: 0 });
    expect((await model.evaluate(texts, labels)).loss).toBeLessThan(before.loss!);
    const ids: NDArray = await vectorize.compute(texts);
    const rest = sequential([layers.inputLayer({ shape: [3] }), ...model.layers.slice(1)]);
    const want = (await rest.predict(ids)).toNested();
    expect((await model.predict(texts)).toNested()).toEqual(want);
    expect((await model.predict(texts, { batchSize: 2 })).toNested()).toEqual(want);
    expect((await model.predict(texts.map((text) => [text]))).toNested()).toEqual(want);
    expect((await model.predict(StringArray.from(texts))).toNested()).toEqual(want);
    expect(model.predictSync(texts).toNested()).toEqual(want);
    expect(Object.keys(await model.activations(texts))).toContain(vectorize.name);
    await model.warmup();
  });

  test('from a Dataset in memory, a mapped one and a stream', async () => {
    const { model } = await sentiment();
    const data = Dataset.from({ x: texts, y: labels });
    async function* stream() {
      for (let i = 0; i < texts.length; i += 2) yield { x: texts.slice(i, i + 2), y: labels.slice(i, i + 2) };
    }
    const loud = data.map((element) => ({ ...element, x: String(element.x).toUpperCase() })).batch(4);
    const want = await model.evaluate(texts, labels);
    for (const source of [data.batch(2), loud, Dataset.from(stream)]) {
      expect((await model.evaluate(source)).loss).toBeCloseTo(want.loss!, 6);
    }
    expect(await model.testOnBatch(texts, labels)).toEqual(want);
    expect((await model.fit(loud.shuffle(), { epochs: 2, verbose: 0 })).history.loss).toHaveLength(2);
  });

  test('saves its vocabulary and weights', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chainrule-text-'));
    try {
      for (const outputMode of ['int', 'tfIdf', 'count'] as const) {
        const vectorize = layers.textVectorization({
          outputMode,
          ...(outputMode === 'int' && { outputSequenceLength: 3 }),
        });
        await vectorize.adapt(texts);
        const model = sequential([vectorize, layers.dense({ units: 2 })]);
        const path = join(folder, `${outputMode}.keras`);
        await model.save(path);
        const again = await loadModel(path);
        const more = ['a good film', '', 'bad'];
        expect((await again.predict(more)).toNested()).toEqual((await model.predict(more)).toNested());
        expect(again.toJSON()).toEqual(model.toJSON());
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('takes strings, large integers and numbers side by side', async () => {
    const city = input({ shape: [1], dtype: 'string', name: 'city' });
    const id = input({ shape: [1], dtype: 'int64', name: 'id' });
    const age = input({ shape: [1], name: 'age' });
    const known = layers.stringLookup({ vocabulary: ['x', 'y'], outputMode: 'oneHot' });
    const joined = layers
      .concatenate()
      .apply([
        known.apply(city),
        layers.integerLookup({ vocabulary: [7, 2 ** 40], outputMode: 'oneHot' }).apply(id),
        layers.hashedCrossing({ numBins: 3, outputMode: 'oneHot' }).apply([city, id]),
        age,
      ]);
    const model = functional({ inputs: { city, id, age }, outputs: joined });
    const data = { city: ['x', 'q'], id: [2 ** 40, 3], age: [0.5, -1] };
    const rows = (await model.predict(data)).toNested() as number[][];
    expect(rows.map((row) => row.slice(0, 6))).toEqual([
      [0, 1, 0, 0, 0, 1],
      [1, 0, 0, 1, 0, 0],
    ]);
    expect(rows.map((row) => row.at(-1))).toEqual([0.5, -1]);
    expect(model.predictSync(data).toNested()).toEqual(rows);
    await expect(model.predict({ ...data, city: [1, 2] })).rejects.toThrow(/"city" takes strings.*numbers/);
    await expect(model.predict({ city: ['x'], id: [1] })).rejects.toThrow(/"age" is missing/);
    await expect(model.predict({ ...data, age: [1] })).rejects.toThrow(/rows/);
  });

  test('is built by its first data where no shape is known', async () => {
    const model = sequential([
      layers.stringLookup({ vocabulary: ['x', 'y'], outputMode: 'count' }),
      layers.dense({ units: 1 }),
    ]);
    expect((await model.predict([['x', 'y', 'y']])).shape).toEqual([1, 1]);
    const late = sequential([layers.textVectorization({ outputMode: 'count' }), layers.dense({ units: 1 })]);
    await expect(late.predict(['x'])).rejects.toThrow(/no vocabulary yet/);
    await (late.layers[0] as layers.TextVectorization).adapt(['x y']);
    expect((await late.predict(['x'])).shape).toEqual([1, 1]);
  });

  test('says what stands in the wrong place', async () => {
    const { model } = await sentiment();
    const hidden = layers.dense({ units: 2 }).apply(input({ shape: [4] }));
    expect(() => layers.hashing({ numBins: 3 }).apply(hidden)).toThrow(/before the traced part.*compute/);
    expect(() => layers.dense({ units: 2 }).apply(input({ shape: [4], dtype: 'string' }))).toThrow(/gives strings/);
    await expect(model.predict([])).rejects.toThrow(/no rows/);
    await expect(model.predict(['a', null] as never)).rejects.toThrow(/row 1 is null/);
    await expect(model.predict([1, 2])).rejects.toThrow(/takes strings/);
    await expect(model.fit(texts, labels.slice(1), { verbose: 0 })).rejects.toThrow(/rows/);
  });

  test('the event loop turns while many texts are read', async () => {
    const many = Array.from({ length: 200_000 }, (_, i) => `a review of some words number ${i % 977}, good or BAD`);
    const vectorize = layers.textVectorization({ maxTokens: 500, outputSequenceLength: 8 });
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await vectorize.adapt(many);
    const ids: NDArray = await vectorize.compute(many);
    delay.disable();
    expect(ids.shape).toEqual([200_000, 8]);
    // Slices of 2 ms; the 99th percentile leaves room for a garbage collection and for a busy machine.
    expect(delay.percentile(99) / 1e6).toBeLessThan(50);
  });
});
