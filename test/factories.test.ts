import { describe, expect, test } from 'vitest';
import { kindOf } from '../lib/class_options.js';
import { type Configured, optionTable } from '../lib/config.js';
import {
  ChainruleError,
  callbacks,
  constraints,
  initializers,
  input,
  layers,
  losses,
  metrics,
  ops,
  optimizers,
  regularizers,
  schedules,
  sequential,
  setRandomSeed,
  type Tensor,
} from '../lib/index.js';
import { fitOptionNames } from '../lib/models/fit_options.js';

const spaces = { layers, optimizers, losses, metrics, callbacks, initializers, regularizers, constraints, schedules };
const names = ['input', ...Object.keys(spaces)];
const values = [input, ...Object.values(spaces)];

type Make = (...args: unknown[]) => unknown;

/** What takes other arguments than options. */
const others = /^(get|serialize|resolve\w+|clipByGlobalNorm|globalNorm|accuracy)$/;
const factories = Object.entries(spaces).flatMap(([space, members]) =>
  Object.entries(members as Record<string, unknown>)
    .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
    .map(([name, make]): [string, Make] => [`${space}.${name}`, make as Make]),
);
const ofOptions = factories.filter(([path]) => !others.test(path.split('.')[1]!));

const errorOf = (make: Make, ...args: unknown[]): unknown => {
  try {
    make(...args);
    return undefined;
  } catch (error) {
    return error;
  }
};

/** Runs the call that a message shows. */
function follow(message: string): unknown {
  const call = /Write ((?:new )?[\w.]+\(.*\))(?:[.,] |\.$)/.exec(message)?.[1];
  expect(call, message).toBeDefined();
  return new Function(...names, `return ${call}`)(...values);
}

test('all factories are found', () => {
  expect(ofOptions.length).toBeGreaterThan(190);
});

describe('a factory that is called with', () => {
  test.each(factories)('nothing makes something or shows the right call: %s', (path, make) => {
    const error = errorOf(make);
    if (error === undefined) return;
    expect(error).toBeInstanceOf(ChainruleError);
    if (others.test(path.split('.')[1]!)) return;
    expect(error).toMatchObject({ code: 'ERR_CHAINRULE_OPTION' });
    const { message } = error as ChainruleError;
    // Paths are free, and hooks are the program's own.
    if (!message.includes('…')) expect(follow(message)).toBeTypeOf('object');
  });

  test.each(ofOptions)('a number or null says that options are missing: %s', (_, make) => {
    for (const wrong of [10, null]) {
      const error = errorOf(make, wrong);
      expect(error, String(wrong)).toMatchObject({ name: 'ChainruleError', code: 'ERR_CHAINRULE_OPTION' });
      expect((error as Error).message).toContain(`got ${wrong}`);
    }
  });
});

/** What a factory makes of these options and the least that it needs, which its messages show. */
function madeWith(make: Make, options: object = {}): { made: Configured; needed: object } {
  for (let needed = {}; ; ) {
    const error = errorOf(make, { ...needed, ...options }) as ChainruleError | undefined;
    if (error === undefined) return { made: make({ ...needed, ...options }) as Configured, needed };
    const shown = /Write (?:new )?[\w.]+\((\{ .* \})\)(?:[.,] |\.$)/.exec(error.message)?.[1];
    const more = shown && (new Function(...names, `return ${shown}`)(...values) as object);
    if (!more || Object.keys(more).every((name) => name in needed)) throw error;
    needed = { ...needed, ...more };
  }
}

/** As it stands in files, without what differs from one object to the next. */
const configOf = (made: Configured): unknown =>
  JSON.parse(JSON.stringify(made.getConfig(), (key, value) => (/^(name|seed)$/.test(key) ? undefined : value)));

describe('null is an option that is not given', () => {
  const meant = new Set(['mergeMode', 'activation', 'recurrentActivation', 'reduction', 'classAggregation']);
  const configured = ofOptions.filter(([path]) => !path.startsWith('callbacks.'));
  let seen = 0;
  test.each(configured)('%s', (path, make) => {
    if (path === 'layers.lambda') return; // its function has no config
    const { made: plain, needed } = madeWith(make);
    for (const [option, entry] of Object.entries(optionTable(plain.constructor))) {
      if (option in needed || meant.has(option) || kindOf(entry) === 'nullable') continue;
      seen++;
      const other = make({ ...needed, [option]: null }) as Configured;
      expect(configOf(other), option).toEqual(configOf(plain));
      const [was, is] = [plain, other].map((made) => (made as unknown as Record<string, unknown>)[option]);
      if (was === undefined) expect(is, option).toBeUndefined();
    }
  });

  test('hundreds of them were tried', () => {
    expect(seen).toBeGreaterThan(900);
  });

  test('in calls, too', async () => {
    const model = sequential([layers.dense({ units: 1, inputShape: [1] })]);
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const nothing = Object.fromEntries(fitOptionNames.map((name) => [name, null]));
    const { history } = await model.fit([[1]], [[1]], { ...nothing, verbose: 0 } as never);
    expect(history.loss).toHaveLength(1);
    const stopping = callbacks.earlyStopping({ patience: null, baseline: null, mode: null } as never);
    expect(stopping).toEqual(callbacks.earlyStopping());
  });

  test('a seed of null follows setRandomSeed, as no seed does', async () => {
    const lossOf = async (seed: null | undefined, run: number): Promise<number[]> => {
      setRandomSeed(run);
      const model = sequential([layers.dropout({ rate: 0.5, inputShape: [8], seed: seed as never })]);
      model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
      const row = [1, 2, 3, 4, 5, 6, 7, 8];
      return (await model.fit([row], [row.map(() => 0)], { verbose: 0 })).history.loss as number[];
    };
    const seen = new Set<number>();
    for (const run of [1, 2, 3]) {
      const [loss] = await lossOf(null, run);
      expect(loss).toBe((await lossOf(undefined, run))[0]);
      seen.add(loss!);
    }
    expect(seen.size).toBeGreaterThan(1);
  });
});

describe('a formula', () => {
  const ofLosses = ofOptions.filter(([path]) => path.startsWith('losses.'));
  const ofMetrics = ofOptions.filter(([path]) => path.startsWith('metrics.'));

  test('is no factory that was not called', () => {
    for (const [path, make] of ofLosses)
      expect(() => losses.get(make as never), path).toThrow('a function: a factory must be called');
    for (const [path, make] of ofMetrics)
      expect(() => metrics.get(make as never), path).toThrow('a function: a factory must be called');
  });

  test("of the program's own may have any name", async () => {
    const mse = (...[yTrue, yPred]: [Tensor, Tensor]): Tensor =>
      ops.mean(ops.abs(ops.subtract(yTrue, yPred)), { axis: -1 });
    function huber(yTrue: Tensor, yPred = yTrue): Tensor {
      return mse(yTrue, yPred);
    }
    for (const own of [mse, huber]) {
      const model = sequential([layers.dense({ units: 1, inputShape: [1], kernelInitializer: 'zeros' })]);
      model.compile({ optimizer: 'sgd', loss: own, metrics: [own] });
      const logs = await model.evaluate([[1], [2]], [[1], [3]], { verbose: 0 });
      expect(logs).toEqual({ loss: 2, [own.name]: 2 });
    }
  });
});

const positional: [string, Make, string][] = [
  ['units', () => layers.dense(10 as never), 'layers.dense({ units: 10 })'],
  ['filters', () => (layers.conv2d as Make)(16, 5), 'layers.conv2d({ filters: 16, kernelSize: 3 })'],
  ['a word', () => layers.activation('tanh' as never), "layers.activation({ activation: 'tanh' })"],
  ['a wrong value', () => layers.dropout(5 as never), 'layers.dropout({ rate: 0.5 })'],
  ['a shape', () => layers.reshape([7, 7, 4] as never), 'layers.reshape({ targetShape: [7, 7, 4] })'],
  ['an input shape', () => input([28, 28, 1] as never), 'input({ shape: [28, 28, 1] })'],
  [
    'one of two',
    () => layers.embedding({ inputDim: 500 } as never),
    'layers.embedding({ inputDim: 500, outputDim: 64 })',
  ],
];

test.each(positional)("Keras's positional style is told how to come: %s", (_, make, call) => {
  const error = errorOf(make) as ChainruleError;
  expect(error.message).toContain(`Write ${call}.`);
  expect(follow(error.message)).toBeTypeOf('object');
});

test('what has no options says so', () => {
  expect(() => initializers.zeros([3, 3] as never)).toThrow(
    'Zeros: options come as one object, got [3, 3]. Write initializers.zeros(). It has none.',
  );
});

test('a class of the program is shown with new', () => {
  class Wide extends layers.Dense {}
  expect(() => new Wide({} as never)).toThrow(
    'Wide: units is missing; it must be an integer >= 1. Write new Wide({ units: 64 }).',
  );
});
