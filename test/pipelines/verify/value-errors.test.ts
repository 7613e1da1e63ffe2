import { expect, test } from 'vitest';
import { ValueErrors } from '../../../src/pipelines/verify/value-errors.ts';

test('values in other units are equal up to scale', () => {
  const errors = new ValueErrors(2);
  errors.add(Float32Array.of(1, 5, 2, 7, 4, 6), Float32Array.of(12, -5, 14, -7, 18, -6), 6);
  expect(errors.directDb).toBeLessThan(0);
  expect(errors.scaledDb).toBeGreaterThan(120);
});

test('what the fit leaves is noise', () => {
  const errors = new ValueErrors(1);
  // Against 1, -1, 1, -1 the values 1, -1, 1, 1 have the covariance 2, the variances 4 and 3: 4 - 4/3 is left of 4.
  errors.add(Float32Array.of(1, -1, 1, -1), Float32Array.of(1, -1, 1, 1), 4);
  expect(errors.scaledDb).toBeCloseTo(10 * Math.log10(4 / (4 - 4 / 3)), 9);
  expect(errors.directDb).toBeCloseTo(10 * Math.log10(4 / 4), 9);
});

test('a channel that the model does not vary is all noise, one that the reference does not vary is none', () => {
  const errors = new ValueErrors(2);
  errors.add(Float32Array.of(1, 3, 2, 3), Float32Array.of(5, 0, 5, 1), 4);
  expect(errors.scaledDb).toBeCloseTo(0, 9);
});

test('a NaN stays one', () => {
  const errors = new ValueErrors(1);
  errors.add(Float32Array.of(1, 2), Float32Array.of(Number.NaN, 2), 2);
  expect(errors.directDb).toBeNaN();
  expect(errors.scaledDb).toBeNaN();
});

test('without channels there is no scale', () => {
  expect(new ValueErrors(undefined).scaledDb).toBeUndefined();
});
