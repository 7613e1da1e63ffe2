import { expect, test } from 'vitest';
import { shortestDecimal } from '../../src/ir/tensor.ts';

test.each([
  [1e-5, 1e-5],
  [1e-12, 1e-12],
  [0.1, 0.1],
  [1 / 3, 0.33333334],
  [16777217, 16777216],
])('%d as f32 is written %d', (value, short) => {
  expect(shortestDecimal(Math.fround(value))).toBe(short);
});
