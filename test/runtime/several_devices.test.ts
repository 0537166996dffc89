import { expect, test } from 'vitest';
import { canFake, runScript } from './fake_driver.js';

// One model's weights on two devices at once: both emulated, in a process of its own.

const ready = canFake('several devices');

test.skipIf(!ready)('two devices predict at the same time, and see what the other trained', { timeout: 60_000 }, () => {
  const seen = runScript<{ ids: string[]; wrong: number; runs: number; trained: number[][]; again: number[][] }>(
    `
    const cr = require('./dist/chainrule.js');
    cr.setFloat32MatmulPrecision('highest');
    const x = new cr.NDArray(Float32Array.from({ length: 6 * 5 }, (_, i) => Math.sin(i * i)), [6, 5]);
    const y = new cr.NDArray(Float32Array.from({ length: 6 }, (_, i) => i % 3), [6, 1]);
    (async () => {
      const layers = [
        cr.layers.dense({ units: 7, activation: 'tanh', inputShape: [5] }),
        cr.layers.dense({ units: 3, activation: 'softmax' }),
      ];
      const model = cr.sequential(layers);
      model.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy', device: 'cuda:0' });
      const other = cr.sequential(layers);
      other.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy', device: 'cuda:1' });
      const onCpu = cr.trace(({ x }) => model.apply(x), { device: 'cpu' });
      const numbers = async () => {
        const results = [await model.predict(x), await other.predict(x), await onCpu.run({ x })];
        return results.map(({ data }) => [...data]);
      };
      const [, , want] = await numbers();
      const close = (got) => got.length > 0 && got.every((v, i) => Math.abs(v - want[i % want.length]) < 1e-5);
      const row = x.data.subarray(0, 5);
      let wrong = 0, runs = 0;
      for (let round = 0; round < 40; ++round) {
        // The same weights written anew: both devices copy them, one here, one on the executor.
        await model.setWeights(await model.getWeights());
        let running = true;
        const there = other.predict(x).finally(() => { running = false; });
        do {
          try {
            if (!close([...model.predictSync(row)])) ++wrong;
            ++runs;
          } catch (error) {
            if (error.code !== 'ERR_CHAINRULE_BUSY') throw error;
          }
          await new Promise(setImmediate);
        } while (running);
        if (!close([...(await there).data])) ++wrong;
      }
      await model.fit(x, y, { epochs: 2, verbose: 0 });
      const trained = await numbers();
      await other.fit(x, y, { epochs: 2, verbose: 0 });
      const again = await numbers();
      const ids = (await cr.listDevices()).devices.map(({ id }) => id);
      console.log(JSON.stringify({ ids, wrong, runs, trained, again }));
    })();`,
    undefined,
    { CHAINRULE_CUDA_EMULATE: '2' },
  );
  expect(seen).toMatchObject({ ids: ['cuda:0', 'cuda:1'], wrong: 0 });
  expect(seen.runs).toBeGreaterThan(20);
  for (const [first, second, cpu] of [seen.trained, seen.again] as [number[], number[], number[]][]) {
    expect(second).toEqual(first);
    for (const [i, value] of cpu.entries()) expect(Math.abs(first[i]! - value)).toBeLessThan(1e-5);
  }
  expect(seen.again).not.toEqual(seen.trained);
});
