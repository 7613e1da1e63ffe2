import { expect, test } from 'vitest';
import { isAllowed } from '../../../src/pipelines/evaluate/drop.ts';

test.each([
  ['what may be lost', 5, 5, true],
  ['less', 4.99, 5, true],
  ['more by one of 40,000 samples', 5.0025, 5, false],
  ['what rounding makes more of 2 in 40', 100 * (1 - 38 / 40), 5, true],
  ['nothing where nothing may be', 0, 0, true],
  ['less than nothing', -3, 0, true],
  ['what is no number', Number.NaN, 100, false],
])('%s: %d of %d points', (_, drop, maxDrop, expected) => {
  expect(isAllowed(drop, maxDrop)).toBe(expected);
});
