import { describe, expect, test } from 'vitest';
import { computed, expectValue, type Value } from './calls.ts';

const VALUES: readonly Value[] = [
  ['add(a f32[2, 1] {1, 2}, b f32[2] {10, 20})', 'f32[2, 2]', [11, 21, 12, 22]],
  ['add(a i64[2] {1, 2}, b i64[] {3})', 'i64[2]', [4, 5]],
  ['sub(a f32[2] {1, 2}, b f32[2] {3, 5})', 'f32[2]', [-2, -3]],
  ['mul(a f16[2] {3, -4}, b f32[] {0.5})', 'f32[2]', [1.5, -2]],
  ['div(a f32[2] {1, -3}, b f32[] {4})', 'f32[2]', [0.25, -0.75]],
  ['minimum(a f32[2] {-1, 4}, b f32[] {2})', 'f32[2]', [-1, 2]],
  ['cumulativeSum(x f32[2, 3] {1, 2, 3, 4, 5, 6})', 'f32[2, 3]', [1, 3, 6, 4, 9, 15]],
  ['cumulativeSum(x i64[2, 2] {1, 2, 3, 4}) {axis: 0}', 'i64[2, 2]', [1, 2, 4, 6]],
  ['maximum(a i64[2] {-1, 4}, b i64[] {2})', 'i64[2]', [2, 4]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each([
  ['cumulativeSum(x f32[2] {1, 2}) {axis: 1}', 'cumulativeSum along axis 1 of f32 [2]'],
  ['cumulativeSum(x bool[2] {1, 0})', 'cumulativeSum along axis -1 of bool [2]'],
])('refuses %s', (call, message) => {
  expect(() => computed(call)).toThrow(message);
});

describe.each(['add', 'sub', 'mul', 'div', 'minimum', 'maximum'])('%s refuses', (op) => {
  test.each([
    [`${op}(a f32[2] {1, 2}, b f32[3] {1, 2, 3})`, `${op} cannot broadcast [2] with [3]`],
    [`${op}(a f32[1] {1}, b i64[1] {1})`, `${op} of f32 and i64`],
    [`${op}(a f32[1] {1})`, 'y lacks its input b'],
  ])('%s', (call, message) => {
    expect(() => computed(call)).toThrow(message);
  });
});
