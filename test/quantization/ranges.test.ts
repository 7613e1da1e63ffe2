import { describe, expect, test } from 'vitest';
import type { NodeStatistics } from '../../src/ir/statistics.ts';
import { quantOf } from '../../src/quantization/qparams.ts';
import { chooseRange } from '../../src/quantization/ranges.ts';

/** Statistics of values as calibration would give them, with 8192 bins. */
function observed(values: readonly number[]): NodeStatistics {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const limit = 2 ** (Math.floor(Math.log2(largest)) + 1);
  const counts = new Float64Array(8192);
  for (const value of values) {
    const bin = Math.floor(((value + limit) / (2 * limit)) * counts.length);
    counts[bin] = (counts[bin] as number) + 1;
  }
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  return {
    rows: values.length,
    min: values.reduce((least, value) => Math.min(least, value)),
    max: values.reduce((most, value) => Math.max(most, value)),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    rms: Math.sqrt(squares / values.length),
    histogram: { limit, counts },
  };
}

/** A bell of 400,000 values within ±5.5, and one outlier. */
const bell = Array.from({ length: 400_000 }, (_, i) => {
  const u = (i + 0.5) / 400_000;
  return Math.log(u / (1 - u)) / 2.6;
});
const withOutlier = [...bell, 90];

describe('chooseRange', () => {
  test('minmax holds every value', () => {
    expect(chooseRange(observed(withOutlier), 'minmax', 'u8')).toEqual({ least: bell[0], most: 90 });
  });

  test.each(['percentile', 'mse', 'entropy'] as const)('%s clips a lone outlier', (method) => {
    const { least, most } = chooseRange(observed(withOutlier), method, 'u8');
    expect(most).toBeLessThan(80);
    expect(most).toBeGreaterThan(1);
    expect(least).toBeLessThan(-1);
  });

  test.each(['percentile', 'mse', 'entropy'] as const)('%s never leaves the observed range', (method) => {
    const values = [-1, -0.5, 0, 0.25, 2];
    const { least, most } = chooseRange(observed(values), method, 'u8');
    expect(least).toBeGreaterThanOrEqual(-1);
    expect(most).toBeLessThanOrEqual(2);
  });

  test('mse keeps an even distribution whole', () => {
    const even = Array.from({ length: 5000 }, (_, i) => i / 2500 - 1);
    expect(chooseRange(observed(even), 'mse', 'u8')).toEqual({ least: -1, most: even.at(-1) });
  });

  test('values that are all zero have an empty range', () => {
    expect(chooseRange({ rows: 2, min: 0, max: 0, mean: 0, rms: 0 }, 'mse', 'u8')).toEqual({ least: 0, most: 0 });
  });
});

describe('quantOf', () => {
  test.each([
    [{ least: -1, most: 3 }, 'u8', false, { scale: Math.fround(4 / 255), zeroPoint: 64 }],
    [{ least: -1, most: 3 }, 'i8', false, { scale: Math.fround(4 / 255), zeroPoint: -64 }],
    [{ least: -1, most: 3 }, 'i8', true, { scale: Math.fround(3 / 127), zeroPoint: 0 }],
    [{ least: -1, most: 3 }, 'i16', false, { scale: Math.fround(3 / 32767), zeroPoint: 0 }],
    [{ least: 1, most: 3 }, 'u8', false, { scale: Math.fround(3 / 255), zeroPoint: 0 }],
    [{ least: -5, most: -2 }, 'i8', false, { scale: Math.fround(5 / 255), zeroPoint: 127 }],
    [{ least: 0, most: 0 }, 'u8', false, { scale: 1, zeroPoint: 0 }],
  ] as const)('of %o as %s, symmetric %s', (range, dtype, symmetric, expected) => {
    expect(quantOf(range, dtype, symmetric)).toEqual({ per: 'tensor', ...expected });
  });
});
