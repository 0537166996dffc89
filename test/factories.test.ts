import { describe, expect, test } from 'vitest';
import {
  ChainruleError,
  callbacks,
  constraints,
  initializers,
  input,
  layers,
  losses,
  metrics,
  optimizers,
  regularizers,
  schedules,
} from '../lib/index.js';

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
    'Zeros: options come as one object, got a list of 2. Write initializers.zeros(). It has none.',
  );
});

test('a class of the program is shown with new', () => {
  class Wide extends layers.Dense {}
  expect(() => new Wide({} as never)).toThrow(
    'Wide: units is missing; it must be an integer >= 1. Write new Wide({ units: 64 }).',
  );
});
