import { expect, test } from 'vitest';
import { fakeGpu, prelude, runScript, stateFile } from './fake_driver.js';

// Memory of a GPU and who waits for it: a fake driver counts what it gave, and takes as long as ordered.

const folder = fakeGpu('memory of a GPU');
const ready = folder !== undefined;

function run<T>(body: string, env: Record<string, string> = {}): T {
  const script = `${prelude}\nmain(async () => {${body}});`;
  return runScript<T>(script, folder, { FAKE_CUDA_STATE: stateFile(), ...env });
}

test.skipIf(!ready)('another model of the size takes memory from the pool, and it goes back when asked for', () => {
  const seen = run<{ first: number; second: number; held: number; outstanding: number; used: number[] }>(`
    const once = async () => {
      const model = build('cuda');
      await fit(model);
      await model.predict(x);
    };
    await once();
    const first = state().allocationCalls + state().hostAllocationCalls;
    await collect();
    await once();
    const second = state().allocationCalls + state().hostAllocationCalls;
    await collect();
    const [{ usedBytes, heldBytes, freeBytes }] = (await cr.listDevices()).devices;
    const held = state().bytes;
    await cr.releaseDeviceMemory();
    return { first, second, held, outstanding: state().bytes, used: [usedBytes, heldBytes, freeBytes] };`);
  expect(seen.second).toBe(seen.first);
  expect(seen.held).toBeGreaterThan(0);
  expect(seen.outstanding).toBe(0);
  const arena = seen.used[0]!; // nobody holds anything but the memory in which plans work
  expect(arena).toBeLessThan(1 << 20);
  expect(seen.used.slice(1)).toEqual([seen.held, 2 ** 30 - seen.held]);
});

test.skipIf(!ready)('an idle GPU gives memory back by itself, keeps weights, and keeps no process alive', () => {
  const seen = run<Record<'before' | 'after' | 'again' | 'at', number>>(`
    const model = cr.sequential([
      cr.layers.dense({ units: 1 << 20, inputShape: [4] }),
      cr.layers.layerNormalization(),
      cr.layers.dense({ units: 1 }),
    ]);
    model.compile({ device: 'cuda' });
    const rows = new cr.NDArray(new Float32Array(8 * 4), [8, 4]);
    await model.predict(rows);
    const before = state().bytes;
    await sleep(3000);
    const after = state().bytes;
    await model.predict(rows);
    return { before, after, again: state().bytes, at: Date.now() };`);
  expect(Date.now() - seen.at).toBeLessThan(10_000); // not held by a thread that sleeps for good
  const arena = 32 << 20; // a million numbers for each of 8 rows
  expect(seen.before).toBeGreaterThanOrEqual(seen.after + arena);
  expect(seen.after).toBeGreaterThanOrEqual(32 << 20); // the weights
  expect(seen.again).toBe(seen.before);
});

test.skipIf(!ready)('a limit refuses before anything is allocated, and says what to do', () => {
  const body = (limit: string) => `
    ${limit}
    const big = cr.sequential([cr.layers.dense({ units: 4, inputShape: [1 << 20] })]);
    big.compile({ device: 'cuda' });
    const refused = await outcome(big.predict(new cr.NDArray(new Float32Array(1 << 20), [1, 1 << 20])));
    const small = await outcome(build('cuda').predict(x));
    const { bytes } = state();
    const [{ limitBytes }] = (await cr.listDevices()).devices;
    cr.setDeviceMemoryLimit(Infinity);
    cr.setDeviceMemoryLimit(Infinity, 'cuda:0');
    return { refused, small, bytes, limitBytes, lifted: await outcome(big.predict(new cr.NDArray(new Float32Array(1 << 20), [1, 1 << 20]))) };`;
  const refused = expect.stringMatching(
    /^ERR_CHAINRULE_DEVICE_OOM: out of memory on cuda:0: \d+ bytes asked, \d+ in use by this process, which may take 8388608 .+smaller batch.+memoryBudget.+raise the limit/,
  );
  const want = { refused, small: 'done', limitBytes: 8 << 20, lifted: 'done' };
  const eight = { CHAINRULE_CUDA_MEMORY_LIMIT: String(8 << 20) };
  for (const [limit, env] of [
    ['cr.setDeviceMemoryLimit(8 * 2 ** 20);', {}],
    ['cr.setDeviceMemoryLimit(1 / 128);', {}],
    ["cr.setDeviceMemoryLimit(8 * 2 ** 20, 'cuda:0'); cr.setDeviceMemoryLimit(0.9);", {}],
    ['', eight],
  ] as [string, Record<string, string>][]) {
    const seen = run<{ bytes: number }>(body(limit), env);
    expect(seen, limit).toMatchObject(want);
    expect(seen.bytes).toBeLessThanOrEqual(8 << 20);
  }
});

test.skipIf(!ready)('memory that plans leave is reused before the limit refuses', () => {
  const seen = run<string[]>(`
    cr.setDeviceMemoryLimit(40 * 2 ** 20);
    const results = [];
    for (let i = 0; i < 6; ++i) {
      const units = 1 << 18;
      const model = cr.sequential([cr.layers.dense({ units: 8 + i * 2, inputShape: [units] })]);
      model.compile({ device: 'cuda' });
      results.push(await outcome(model.predict(new cr.NDArray(new Float32Array(units), [1, units]))));
      await collect();
    }
    return results;`);
  expect(seen).toEqual(Array(6).fill('done')); // 8 to 18 MiB of weights each
});

test.skipIf(!ready)('a dataset that is kept on the GPU makes room for weights and plans', () => {
  const seen = run<string[]>(`
    cr.setDeviceMemoryLimit(40 * 2 ** 20);
    const width = 1 << 18; // 34 MiB of weights, gradients and Adam's moments; 9 MiB of rows
    const rows = new cr.NDArray(new Float32Array(9 * width), [9, width]), y = new cr.NDArray(new Float32Array(9 * 8), [9, 8]);
    const model = cr.sequential([cr.layers.dense({ units: 8, inputShape: [width] })]);
    model.compile({ optimizer: 'sgd', loss: 'mse', device: 'cuda' });
    const few = new cr.NDArray(rows.data.subarray(0, width), [1, width]);
    const alone = await outcome(model.fit(few, new cr.NDArray(new Float32Array(8), [1, 8]), { batchSize: 1, epochs: 1, verbose: 0 }));
    await cr.releaseDeviceMemory();
    return [alone, await outcome(model.fit(rows, y, { batchSize: 1, epochs: 3, shuffle: false, verbose: 0 }))];`);
  expect(seen).toEqual(['done', 'done']);
});

test.skipIf(!ready)("predictSync does not wait for the steps of a fit, its own model's or another's", () => {
  const seen = run<{ errors: string[]; longest: number; fits: string[]; after: string }>(`
    const model = build('cuda'), other = build('cuda');
    const row = new Float32Array(8);
    await fit(model);
    await fit(other);
    model.predictSync(row);
    other.predictSync(row);
    order('slow', 200);
    const fits = [outcome(fit(model))];
    const errors = [];
    let longest = 0, running = true;
    fits[0].then(() => { running = false; });
    while (running) {
      for (const each of [model, other]) {
        const begin = performance.now();
        try {
          each.predictSync(row);
        } catch (error) {
          errors.push(error.code);
          longest = Math.max(longest, performance.now() - begin);
        }
      }
      await sleep(3);
    }
    order('slow', 0);
    return { errors: [...new Set(errors)], longest, fits: await Promise.all(fits), after: String(model.predictSync(row).length) };`);
  expect(seen).toMatchObject({ errors: ['ERR_CHAINRULE_BUSY'], fits: ['done'], after: '3' });
  expect(seen.longest).toBeLessThan(150);
});

test.skipIf(!ready)('predictSync does not queue behind work that runs on the GPU', () => {
  const seen = run<{ busy: string; milliseconds: number; after: number }>(`
    const model = build('cuda');
    model.predictSync(new Float32Array(8));
    order('busy', 1);
    const begin = performance.now();
    let busy = '';
    try {
      model.predictSync(new Float32Array(8));
    } catch (error) {
      busy = error.code;
    }
    const milliseconds = performance.now() - begin;
    order('busy', 0);
    return { busy, milliseconds, after: model.predictSync(new Float32Array(8)).length };`);
  expect(seen).toMatchObject({ busy: 'ERR_CHAINRULE_BUSY', after: 3 });
  expect(seen.milliseconds).toBeLessThan(2000); // of a wait without end
});

test.skipIf(!ready)('garbage on the GPU goes without the JavaScript thread waiting for a step', () => {
  const seen = run<{ longest: number; dropped: number; outstanding: number }>(`
    const model = build('cuda');
    await fit(model);
    let garbage = [];
    for (let i = 0; i < 3; ++i) {
      garbage.push(build('cuda'));
      await garbage[i].predict(x);
    }
    const dropped = state().executables;
    order('slow', 500);
    const running = fit(model);
    await sleep(20);
    garbage = null;
    let longest = 0;
    for (let i = 0; i < 6; ++i) {
      global.gc();
      const begin = performance.now();
      await sleep(1);
      longest = Math.max(longest, performance.now() - begin);
    }
    await running;
    order('slow', 0);
    await model.predict(x);
    return { longest, dropped, outstanding: state().executables };`);
  expect(seen.longest).toBeLessThan(400); // of steps of 500 ms
  expect(seen.outstanding).toBeLessThan(seen.dropped);
});

test.skipIf(!ready)('saving a model on the CPU touches no GPU', () => {
  const seen = run<{ saved: string; contexts: number }>(`
    const path = require('node:path'), os = require('node:os');
    const model = build('cpu');
    await fit(model);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chainrule-save-'));
    const saved = await outcome(model.save(path.join(folder, 'model.keras')));
    return { saved, contexts: state().contexts };`);
  expect(seen).toEqual({ saved: 'done', contexts: 0 });
});

test.skipIf(!ready)('host memory that the GPU still writes to serves nobody else', () => {
  const seen = run<{ stopped: string; pending: number; wrong: number[] }>(`
    const { native } = require('./dist/native.js');
    require('./dist/devices.js').defaultDevice();  // names the library of devices
    const program = (width, outputOf) => {
      const graph = new native.Graph();
      const input = graph.input('x', 'float32', [-1, width]);
      return graph.compileSync([outputOf(graph, input)], 'cuda');
    };
    const identity = program(64, (graph, input) => graph.op('reshape', [input], { shape: [-1, 8, 8] })[0]);
    const rows = (n) => Float32Array.from({ length: n * 64 }, (_, i) => i + n);
    const wrong = [];
    const check = async (n) => {
      const [{ data }] = await identity.run([{ data: rows(n), shape: [n, 64] }]).promise;
      if (!data.every((v, i) => v === i + n)) wrong.push(n);
    };
    await check(40);
    await collect();
    // Stopped between two steps: one is on its way when its plan becomes garbage.
    let dying = program(8, (graph, input) => graph.op('relu', [input])[0]);
    const dataset = new native.Dataset([{ data: new Float32Array(4000 * 8), shape: [4000, 8] }], false);
    const options = { batchSize: 4, begin: 0, end: 4000, shuffle: false, seed: 0, epoch: 0, firstStep: 0, steps: 1000 };
    order('slow', 5);
    const job = dying.epoch(dataset, options);
    setTimeout(() => job.cancel(), 60);
    const stopped = await outcome(job.promise);
    order('slow', 0);
    const { pending } = state();
    dying = null;
    await collect();
    for (const n of [9, 5, 1]) await check(n); // rows that cover where results of the other plan arrive
    return { stopped, pending, wrong };`);
  expect(seen.stopped).toMatch(/^ERR_CHAINRULE_ABORTED/);
  expect(seen.pending).toBeGreaterThan(0);
  expect(seen.wrong).toEqual([]);
});
