import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { ChainruleError, checkOptions, nearest } from '../lib/errors.js';

test('prints the code as Node does, and keeps a plain name', () => {
  const error = new ChainruleError('ERR_CHAINRULE_SHAPE', 'matmul: no', { details: { rank: 2 }, cause: 'why' });
  expect(error).toMatchObject({
    name: 'ChainruleError',
    code: 'ERR_CHAINRULE_SHAPE',
    details: { rank: 2 },
    cause: 'why',
  });
  expect(String(error)).toBe('ChainruleError [ERR_CHAINRULE_SHAPE]: matmul: no');
  expect(error.stack?.split('\n')[0]).toBe('ChainruleError [ERR_CHAINRULE_SHAPE]: matmul: no');
  expect(inspect(error)).toContain('ChainruleError [ERR_CHAINRULE_SHAPE]: matmul: no');
  expect(error).toBeInstanceOf(Error);
});

test('suggests the name that was meant, and nothing for a name far from all', () => {
  expect(nearest('epcohs', ['epochs', 'batchSize'])).toBe('epochs');
  expect(nearest('batch_size', ['epochs', 'batchSize'])).toBe('batchSize');
  expect(nearest('zzz', ['epochs', 'batchSize'])).toBeUndefined();
});

test('an unknown option is refused, at the line of the caller', () => {
  expect(() => checkOptions('fit', { epochs: 1 }, ['epochs'])).not.toThrow();
  expect(() => checkOptions('fit', undefined, ['epochs'])).not.toThrow();
  expect(() => checkOptions('fit', { epoch: 1 }, ['epochs'])).toThrow(
    'fit: unknown option "epoch"; did you mean "epochs"?',
  );
  expect(() => checkOptions('fit', { zzz: 1 }, ['b', 'a'])).toThrow('unknown option "zzz". It knows: a, b.');
});
