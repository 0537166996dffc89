import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { layers, type NDArray, sequential } from '../../lib/index.js';
import { binaryMetrics, holdTo } from './judge.js';
import { differsFrom, isThere, type Recipe, recipe, type Split, type Table, unpack } from './sources.js';
import { trained } from './train.js';

// Film reviews as they were written: our own vocabulary and ids must be Keras's before training tells anything.

const minutes = 60_000;

interface Review {
  label: number;
  text: string;
}

async function reviews({ data, preprocessing }: Recipe): Promise<Split> {
  const lines = unpack(data).toString('utf8').trim().split('\n');
  const all = lines.map((line) => JSON.parse(line) as Review);
  const [train, held] = [all.filter((_, i) => i % 5 !== 0), all.filter((_, i) => i % 5 === 0)];
  const vectorize = layers.textVectorization({ maxTokens: 10_000, outputSequenceLength: 300 });
  await vectorize.adapt(train.map(({ text }) => text));
  const tokens = vectorize.getVocabulary();
  const want = preprocessing.vocabulary!;
  expect(tokens.length).toBe(want.size);
  expect(tokens.slice(0, want.first.length)).toEqual(want.first);
  expect(tokens.slice(-want.last.length)).toEqual(want.last);
  expect(createHash('sha256').update(tokens.join('\n')).digest('hex')).toBe(want.sha256OfJoinedByNewline);
  const inputs = async (part: Review[]): Promise<Table> => {
    const ids: NDArray = await vectorize.compute(part.map(({ text }) => text));
    return { data: Float32Array.from(ids.data), shape: [...ids.shape] };
  };
  const targets = (part: Review[]): Table => ({
    data: Float32Array.from(part, ({ label }) => label),
    shape: [part.length],
  });
  return {
    train: await inputs(train),
    trainTargets: targets(train),
    test: await inputs(held),
    testTargets: targets(held),
  };
}

const embedding = () => layers.embedding({ inputDim: 10_000, outputDim: 16, inputShape: [300] });
const sigmoid = () => layers.dense({ units: 1, activation: 'sigmoid' });
const jobs = {
  'sentiment-average': () =>
    sequential([
      embedding(),
      layers.globalAveragePooling1d(),
      layers.dense({ units: 16, activation: 'relu' }),
      layers.dropout({ rate: 0.3 }),
      sigmoid(),
    ]),
  'sentiment-conv1d': () =>
    sequential([
      embedding(),
      layers.conv1d({ filters: 64, kernelSize: 5, activation: 'relu' }),
      layers.globalMaxPooling1d(),
      layers.dropout({ rate: 0.3 }),
      sigmoid(),
    ]),
  'sentiment-lstm': () =>
    sequential([
      embedding(),
      layers.lstm({ units: 32, returnSequences: true }),
      layers.globalAveragePooling1d(),
      layers.dropout({ rate: 0.3 }),
      sigmoid(),
    ]),
};

describe.skipIf(!isThere)('whole jobs on texts', () => {
  let split: Split;
  beforeAll(async () => {
    split = await reviews(recipe('sentiment-average'));
  });

  test.each(Object.entries(jobs))('%s', { timeout: 10 * minutes }, async (job, build) => {
    const steps = recipe(job);
    for (const name of ['train', 'trainTargets', 'test', 'testTargets'] as const) {
      expect(differsFrom(split[name], steps.inputCheck[name]), name).toEqual([]);
    }
    const run = async (seed: number) => binaryMetrics(await trained(steps, seed, build, split), split.testTargets.data);
    await holdTo(steps, run, 5);
  });
});
