import { describe, expect, test } from 'vitest';
import { accuracy, argmaxRows, cosine, maxAbsError, sqnr } from '../../src/metrics/metrics.ts';

const f32 = (...values: number[]) => Float32Array.from(values);

describe('maxAbsError', () => {
  test.each([
    ['the largest difference of either sign', f32(1, -2, 3), f32(1.5, -4, 3.25), 2],
    ['equal values', f32(1, 2), f32(1, 2), 0],
    ['nothing', f32(), f32(), 0],
    ['equal infinities and NaNs', f32(-Infinity, NaN, 1), f32(-Infinity, NaN, 2), 1],
    ['an infinity on one side', f32(1), f32(Infinity), Infinity],
    ['a NaN on one side, before other errors', f32(1, NaN, 1), f32(9, 0, 3), NaN],
  ])('is right for %s', (_, a, b, error) => {
    expect(maxAbsError(a, b)).toBe(error);
    expect(maxAbsError(b, a)).toBe(error);
  });
});

test.each([
  ['parallel vectors', [1, 2], [2, 4], 1],
  ['opposite ones', [1, 2], [-1, -2], -1],
  ['right angles', [1, 0], [0, 3], 0],
  ['half a right angle', [1, 0], [1, 1], Math.SQRT1_2],
])('the cosine of %s', (_, reference, actual, expected) => {
  expect(cosine(f32(...reference), f32(...actual))).toBeCloseTo(expected, 12);
});

test('the cosine of nothing is none', () => {
  expect(cosine(f32(0, 0), f32(1, 1))).toBeNaN();
});

describe('sqnr', () => {
  test.each([
    ['an error of a tenth', f32(3, 4), f32(3.5, 4), 20],
    ['no error', f32(3, 4), f32(3, 4), Infinity],
    ['a reference of zeros', f32(0, 0), f32(0, 1), -Infinity],
    ['a NaN', f32(1, 2), f32(1, NaN), NaN],
  ])('is right for %s', (_, reference, actual, db) => {
    expect(sqnr(reference, actual)).toBe(db);
  });

  test('loses 6 dB with twice the error', () => {
    const reference = f32(1, -1, 1, -1);
    const once = sqnr(reference, f32(1.125, -1, 1, -1));
    const twice = sqnr(reference, f32(1.25, -1, 1, -1));
    expect(once - twice).toBeCloseTo(20 * Math.log10(2), 10);
  });
});

describe('argmax', () => {
  test('takes the first of equal values and none of a row with a NaN', () => {
    expect([...argmaxRows(f32(1, 3, 3, -2, -1, -3, 0, NaN, 5, NaN, 1, 2), 3)]).toEqual([1, 1, -1, -1]);
    expect([...argmaxRows(f32(-Infinity, -Infinity), 2)]).toEqual([0]);
  });

  test('accuracy counts rows whose largest logit is at the label', () => {
    expect(accuracy(f32(1, 2, 2, 1, 0, 5, 7, 1), [1, 0, 0, 0], 2)).toBe(0.75);
    expect(accuracy(f32(), [], 2)).toBeNaN();
  });
});

test.each<[string, () => unknown]>([
  ['maxAbsError of different lengths', () => maxAbsError(f32(1), f32(1, 2))],
  ['sqnr of different lengths', () => sqnr(f32(1), f32())],
  ['values that are no whole rows', () => argmaxRows(f32(1, 2, 3), 2)],
  ['labels that do not fit the logits', () => accuracy(f32(1, 2, 3, 4), [0], 2)],
])('refuses %s', (_, run) => {
  expect(run).toThrow(expect.objectContaining({ code: 'MISMATCH' }));
});
