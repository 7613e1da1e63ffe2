import { expect, test } from 'vitest';
import { ErrorSums } from '../../src/metrics/error-sums.ts';

test('sums signal and noise over all that is added', () => {
  const sums = new ErrorSums();
  sums.add([3, 4], [3, 3]);
  sums.add([100, 0, 100], [0, 0, 0], 1, 2);
  expect(sums.sqnrDb).toBeCloseTo(10 * Math.log10(25), 12);
  expect(sums.maxAbsError).toBe(1);
});

test('is infinite for equal values and NaN where one has a NaN', () => {
  const sums = new ErrorSums();
  sums.add([1, 2], [1, 2]);
  expect(sums.sqnrDb).toBe(Number.POSITIVE_INFINITY);
  sums.add([1, 2], [Number.NaN, 2]);
  expect(sums.sqnrDb).toBeNaN();
  expect(sums.maxAbsError).toBeNaN();
});
