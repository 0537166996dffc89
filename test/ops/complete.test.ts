import { expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { errorCases } from './cases/errors.js';
import { cases, randomOps } from './cases.js';

/** Ops without a row, and why. */
const without: Record<string, string> = {
  input: 'bound at run time; every row has some',
  constant: 'bound when compiled; see test/ir',
  variable: 'see test/runtime',
  placeholder: 'exists only while a custom gradient is traced',
  customGradient: 'its gradient is what the user says; see its own test',
};
/** Made by gradients and passes, never by a caller; the suites that run them. */
const internal: Record<string, RegExp> = {
  'appear in gradients, so the gradient suite runs them': /^(conv2d(Input|Filter)|\w+Gradient)$/,
  'made by passes; their suite is test/passes':
    /^(island|islandSums|pack|unpack|gatherReduce|rowChain|rowGraph|scalePanels|group\w*|\w*[pP]anels?|\w*Group|to\w+|from\w+)$/,
};

const names = native.opNames();
const covered = new Set([...cases.map(({ op }) => op), ...randomOps, ...Object.keys(without)]);

test('every op has a row', () => {
  const missing = names.filter(
    (name) => !covered.has(name) && !Object.values(internal).some((rule) => rule.test(name)),
  );
  expect(missing).toEqual([]);
});

test('every row names an op', () => {
  expect([...covered, ...errorCases.map(({ op }) => op)].filter((name) => !names.includes(name))).toEqual([]);
});

test('every differentiable elementwise op has its gradient compared', () => {
  const compared = new Set(cases.filter(({ wrt }) => wrt?.length).map(({ op }) => op));
  const missing = native
    .elementwiseOps()
    .filter(({ name, differentiable }) => differentiable && !compared.has(name) && !/^select$/.test(name))
    .map(({ name }) => name);
  expect(missing).toEqual([]);
});
