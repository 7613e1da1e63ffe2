import { expect, test } from 'vitest';
import { integerTensor, readF32, readIntegers, shortestDecimal, tensorOf } from '../../src/ir/tensor.ts';

test.each([
  [1e-5, 1e-5],
  [1e-12, 1e-12],
  [0.1, 0.1],
  [1 / 3, 0.33333334],
  [16777217, 16777216],
])('%d as f32 is written %d', (value, short) => {
  expect(shortestDecimal(Math.fround(value))).toBe(short);
});

test('numbers beyond f32 are read as its largest, infinite ones stay', () => {
  const largest = Math.fround(3.4028234663852886e38);
  const values = Float64Array.of(-Number.MAX_VALUE, 1e300, Number.NEGATIVE_INFINITY, 0.5);
  expect([...readF32(tensorOf('f64', [4], values))]).toEqual([-largest, largest, Number.NEGATIVE_INFINITY, 0.5]);
});

test.each([
  ['i64', integerTensor('i64', [16777217, -16777217])],
  ['u32', tensorOf('u32', [2], Uint32Array.of(16777217, 4278190079))],
  ['f64', tensorOf('f64', [2], Float64Array.of(16777217, -16777217))],
] as const)('integers of %s are read exactly, also those that no f32 holds', (_, tensor) => {
  expect(readIntegers(tensor)).toEqual(tensor.dtype === 'u32' ? [16777217, 4278190079] : [16777217, -16777217]);
});
