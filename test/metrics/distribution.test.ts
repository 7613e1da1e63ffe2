import { describe, expect, test } from 'vitest';
import { StreamingHistogram } from '../../src/calibration/histogram.ts';
import { coarseDistribution, distributionOf } from '../../src/metrics/distribution.ts';

describe('a distribution', () => {
  test('counts values between the least and the largest in 32 bins, the largest in the last one', () => {
    const { least, most, counts } = distributionOf(Float32Array.of(0, 1, 2, 31, 31.5, 32)) ?? {};
    const expected = new Array(32).fill(0);
    expected[0] = expected[1] = expected[2] = 1;
    expected[31] = 3;
    expect({ least, most, counts }).toEqual({ least: 0, most: 32, counts: expected });
  });

  test('has the root of the mean square', () => {
    expect(distributionOf([3, -3, 3, 3])?.rms).toBe(3);
    expect(distributionOf([0, 0, 0, 4])?.rms).toBe(2);
  });

  test('of equal values is one bin', () => {
    expect(distributionOf([5, 5, 5])).toEqual({ least: 5, most: 5, rms: 5, counts: [3] });
  });

  test('leaves out what is no number, and of nothing else there is none', () => {
    const sparse = distributionOf([Number.NaN, 1, Number.POSITIVE_INFINITY, -1]);
    expect(sparse).toMatchObject({ least: -1, most: 1, rms: 1 });
    expect(sparse?.counts.reduce((sum, count) => sum + count)).toBe(2);
    expect(distributionOf([Number.NaN])).toBeUndefined();
    expect(distributionOf([])).toBeUndefined();
  });
});

describe('a distribution of values that were counted finely', () => {
  /** As statistics count them: in the streaming histogram, with the exact minimum and maximum beside it. */
  function counted(values: readonly number[]) {
    const histogram = new StreamingHistogram();
    histogram.add(Float32Array.from(values));
    const rms = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    return { min: Math.min(...values), max: Math.max(...values), rms, histogram: histogram.result() };
  }

  test.each([
    ['around zero', (i: number) => i / 500 - 1],
    ['on one side', (i: number) => 3 + i / 1000],
    ['with a value far out', (i: number) => (i === 999 ? 40 : Math.sin(i))],
  ])('%s is that of the values, but for those at the edge of a bin', (_, make) => {
    const values = Array.from({ length: 1000 }, (_, i) => Math.fround(make(i)));
    const exact = distributionOf(values);
    const coarse = coarseDistribution(counted(values));
    expect([coarse.least, coarse.most]).toEqual([exact?.least, exact?.most]);
    const moved = coarse.counts.reduce((sum, count, i) => sum + Math.abs(count - (exact?.counts[i] ?? 0)), 0);
    expect(coarse.counts.reduce((sum, count) => sum + count)).toBe(1000);
    expect(moved).toBeLessThan(2 * 32);
  });

  test('of equal values is one bin', () => {
    expect(coarseDistribution(counted([2, 2])).counts).toEqual([2]);
  });
});
