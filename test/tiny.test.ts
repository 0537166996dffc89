import { expect, test } from 'vitest';
import { native } from '../lib/native.js';

test('the addon loads and knows its version', () => {
  expect(native.info().version).toMatch(/^\d+\.\d+\.\d+/);
  expect(native.info().sources).toMatch(/^[0-9a-f]{16}$/);
});
