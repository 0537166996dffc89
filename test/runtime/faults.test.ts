import { expect, test } from 'vitest';
import { fakeGpu, prelude, runScript, stateFile } from './fake_driver.js';

// A GPU that runs out of memory, or that is lost, at each call where it can happen: a fake driver, whose kernels compute
// nothing, fails as ordered and counts what it gave and did not get back.

const folder = fakeGpu('faults of a GPU');
const ready = folder !== undefined;

interface State {
  allocations: number;
  bytes: number;
  hostAllocations: number;
  streams: number;
  events: number;
  graphs: number;
  executables: number;
  allocationCalls: number;
  misuses: number;
}
function run<T>(body: string, env: Record<string, string> = {}): T {
  const script = `${prelude}\nmain(async () => {${body}});`;
  return runScript<T>(script, folder, { FAKE_CUDA_STATE: stateFile(), ...env });
}

test.skipIf(!ready).for(['1', '0'])('out of memory at every allocation (pool: %s)', { timeout: 120_000 }, (pool) => {
  const { attempts, after, again } = run<{ attempts: string[]; after: State[]; again: string[] }>(
    `
    const whole = async () => {
      const model = build('cuda');
      await fit(model);
      await model.predict(x);
    };
    const attempts = [], again = [], after = [];
    for (let n = 1; attempts.at(-1) !== 'done' && n < 200; ++n) {
      const { allocationCalls, hostAllocationCalls } = state();
      order('failAllocation', allocationCalls + hostAllocationCalls + n);
      attempts.push(await outcome(whole()));
      order('failAllocation', 0);
      if (n % 4 === 1) again.push(await outcome(whole()));
      await collect();
      await cr.releaseDeviceMemory();
      after.push(state());
    }
    return { attempts, after, again };`,
    { CHAINRULE_CUDA_POOL: pool },
  );
  expect(attempts.length).toBeGreaterThan(pool === '0' ? 12 : 2);
  expect(attempts.pop()).toBe('done');
  for (const attempt of attempts) {
    expect(attempt).toMatch(/^ERR_CHAINRULE_DEVICE_OOM: out of memory on .*cuda:0: \d+ bytes asked, \d+ in use/);
  }
  expect(new Set(again)).toEqual(new Set(['done']));
  const nothing = { allocations: 0, bytes: 0, hostAllocations: 0, events: 0, graphs: 0, executables: 0, misuses: 0 };
  for (const state of after) expect(state).toMatchObject({ ...nothing, streams: 2 });
});

test.skipIf(!ready)('a lost GPU: all its calls reject, the CPU goes on', { timeout: 120_000 }, () => {
  let failed = true;
  for (let n = 1; failed && n < 400; n += n < 12 ? 1 : 7) {
    const seen = run<{ first: string; later: string[]; cpu: string; misuses: number }>(`
      const idle = build('cuda');
      await idle.predict(x);
      const other = build('cuda');
      order('failWork', state().workCalls + ${n});
      const pending = [outcome(idle.predict(x)), outcome(fit(other)), outcome(other.predict(x))];
      const first = (await Promise.all(pending)).find((text) => text !== 'done') ?? 'done';
      const later = first === 'done' ? [] : [
        await outcome(idle.predict(x)),
        await outcome(fit(build('cuda'))),
        await outcome(fit(build('auto'))),
        await outcome(cr.releaseDeviceMemory()),
      ];
      const cpu = await outcome(fit(build('cpu')).then(() => build('cpu').predict(x)));
      return { first, later, cpu, misuses: state().misuses };`);
    expect(seen.cpu).toBe('done');
    expect(seen.misuses).toBe(0);
    failed = seen.first !== 'done';
    if (!failed) break;
    const lost = expect.stringMatching(/^ERR_CHAINRULE_DEVICE_LOST: /);
    expect(seen.first, `call ${n}`).toEqual(lost);
    expect(seen.later, `call ${n}`).toEqual([lost, lost, lost, 'done']);
  }
  expect(failed).toBe(false); // it ends with a run in which nothing failed
});

test.skipIf(!ready)(
  'what a lost GPU held is named, and never taken for what the host holds',
  { timeout: 60_000 },
  () => {
    const seen = run<Record<string, unknown>>(`
    const path = require('node:path'), os = require('node:os');
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chainrule-lost-'));
    const untrained = build('cuda');
    const first = (await untrained.predict(x), await untrained.getWeights());
    const trained = build('cuda');
    await fit(trained);
    const kept = await trained.getWeights();  // all weights are on the host, too
    await untrained.predict(x);
    const model = build('cuda');
    await fit(model);
    order('failWork', state().workCalls + 1);
    const fits = [await outcome(fit(model)), await outcome(fit(model))];
    const file = path.join(folder, 'model.keras');
    const saves = [await outcome(model.save(file)), await outcome(model.save(file))];
    const reads = [await outcome(model.getWeights()), await outcome(model.getWeights())];
    const written = fs.existsSync(file);
    // Weights that were given anew, and a device that works.
    model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', device: 'cpu' });
    const stillLost = await outcome(model.predict(x));
    await model.setWeights(first);
    const same = (await model.getWeights()).every((w, i) => w.data.every((v, j) => Object.is(v, first[i].data[j])));
    return {
      fits, saves, reads, written, stillLost, same,
      predicts: await outcome(model.predict(x)),
      refits: await outcome(fit(model)),
      resaves: await outcome(model.save(file)),
      untrained: [await outcome(untrained.getWeights()), await outcome(untrained.save(path.join(folder, 'a.keras')))],
      trained: await outcome(trained.getWeights()),
      kept: kept.length,
    };`);
    const gone = expect.stringMatching(/^ERR_CHAINRULE_DEVICE_LOST: the newest values of ".+" were on cuda:0/);
    expect(seen).toMatchObject({
      fits: Array(2).fill(expect.stringMatching(/^ERR_CHAINRULE_DEVICE_LOST: /)),
      saves: [gone, gone],
      reads: [gone, gone],
      written: false,
      stillLost: gone,
      same: true,
      predicts: 'done',
      refits: 'done',
      resaves: 'done',
      untrained: ['done', 'done'],
      trained: 'done',
    });
  },
);

test.skipIf(!ready)('a state that is written after the loss gives up no weights', () => {
  const seen = run<{ failed: string; before: string; after: string; given: string }>(`
    const input = cr.input({ batchShape: [4, 2, 5] });
    const layer = cr.layers.simpleRnn({ units: 3, stateful: true });
    const model = cr.functional({ inputs: input, outputs: cr.layers.dense({ units: 1 }).apply(layer.apply(input)) });
    model.compile({ optimizer: 'adam', loss: 'mse', device: 'cuda' });
    const rows = new cr.NDArray(new Float32Array(40), [4, 2, 5]), y = new cr.NDArray(new Float32Array(4), [4, 1]);
    const weights = await model.getWeights();
    const train = () => model.fit(rows, y, { batchSize: 4, epochs: 2, shuffle: false, verbose: 0 });
    await train();
    order('failWork', state().workCalls + 1);
    const failed = await outcome(train());
    const read = () => outcome(Promise.resolve().then(() => model.getWeights()));
    const before = await read();
    await layer.resetState();
    const after = await read();
    await model.setWeights(weights);
    return { failed, before, after, given: await read() };`);
  const lost = expect.stringMatching(/^ERR_CHAINRULE_DEVICE_LOST/);
  expect(seen).toEqual({ failed: lost, before: lost, after: lost, given: 'done' });
});
