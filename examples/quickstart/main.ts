/**
 * A small convolutional network learns digits.
 *
 *   npm run quickstart                     on images that it draws itself
 *   npm run quickstart -- --data DIR       on the four IDX files of MNIST (plain or .gz)
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { layers, loadModel, type Model, NDArray, sequential, setRandomSeed } from 'chainrule';
import { drawDigits, type Images, SIZE } from './digits.js';
import { readMnist } from './idx.js';
import { confusionTable, imagesSideBySide } from './terminal.js';

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    epochs: { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
  },
});

function buildModel() {
  return sequential([
    layers.conv2d({ filters: 32, kernelSize: 3, activation: 'relu', inputShape: [SIZE, SIZE, 1] }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.conv2d({ filters: 64, kernelSize: 3, activation: 'relu' }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.flatten(),
    layers.dropout({ rate: 0.5 }),
    layers.dense({ units: 10, activation: 'softmax' }),
  ]);
}

async function loadImages(): Promise<{ train: Images; test: Images; source: string }> {
  if (options.data) {
    const [train, test] = await Promise.all([readMnist(options.data, 'train'), readMnist(options.data, 't10k')]);
    return { train, test, source: options.data };
  }
  return { train: drawDigits(8000, 1), test: drawDigits(1000, 2), source: 'drawn by this example' };
}

const arrayOf = (images: Images) => new NDArray(images.pixels, [images.count, SIZE, SIZE, 1]);

/** Index of the largest of the ten probabilities of each row. */
function classesOf(probabilities: NDArray): number[] {
  const rows = probabilities.shape[0] ?? 0;
  return Array.from({ length: rows }, (_, row) => {
    const scores = probabilities.data.subarray(row * 10, row * 10 + 10);
    return scores.indexOf(Math.max(...scores));
  });
}

async function saveAndReload(model: Model): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), 'quickstart-'));
  const path = join(folder, 'digits.keras');
  await model.save(path);
  const again = await loadModel(path);
  await rm(folder, { recursive: true });
  return again;
}

async function main(): Promise<void> {
  setRandomSeed(Number(options.seed));
  const { train, test, source } = await loadImages();
  console.log(`${train.count} training images and ${test.count} test images, ${source}`);

  const model = buildModel();
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  model.summary();
  await model.fit(arrayOf(train), train.labels, { epochs: Number(options.epochs), batchSize: 128 });

  const results = await model.evaluate(arrayOf(test), test.labels, { returnDict: true, verbose: 0 });
  console.log(`test accuracy: ${results.accuracy?.toFixed(4)}`);

  const probabilities = await model.predict(arrayOf(test));
  const predicted = classesOf(probabilities);
  console.log(confusionTable(test.labels, predicted));
  const wrong = predicted.flatMap((guess, index) => (guess === test.labels[index] ? [] : [index])).slice(0, 3);
  if (wrong.length > 0) {
    console.log('\nmisclassified:');
    console.log(
      imagesSideBySide(
        test,
        wrong.map((index) => ({ index, caption: `${test.labels[index]} taken for ${predicted[index]}` })),
      ),
    );
  }

  const reloaded = await saveAndReload(model);
  const same = (await reloaded.predict(arrayOf(test))).data.every((value, i) => value === probabilities.data[i]);
  console.log(`saved, reloaded: predictions ${same ? 'are the same, bit for bit' : 'DIFFER'}`);
  if (!same) process.exitCode = 1;

  const one = test.pixels.slice(0, SIZE * SIZE);
  for (let i = 0; i < 20; i++) reloaded.predictSync(one);
  const start = performance.now();
  const repeats = 100;
  for (let i = 0; i < repeats; i++) reloaded.predictSync(one);
  console.log(`one prediction takes ${(((performance.now() - start) / repeats) * 1000).toFixed(0)} microseconds`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
