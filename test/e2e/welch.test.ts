import { expect, test } from 'vitest';
import { welch } from './welch.js';

test('the t-test knows its table', () => {
  // By scipy.stats.ttest_ind(equal_var=False, alternative='greater').
  expect(welch([0.1102, 0.1, 0.1155, 0.1213, 0.1087], [0.1047, 0.1029, 0.1064, 0.1094, 0.1036])).toBeCloseTo(
    0.093779,
    4,
  );
  expect(welch([1, 2, 3, 4], [1, 2, 3, 4])).toBeCloseTo(0.5, 9);
  expect(welch([5, 6, 7], [1, 2, 3])).toBeCloseTo(0.0040249, 5);
});
