import { expect, test } from 'vitest';
import { computed, expectValue, type Refusal, type Value } from './calls.ts';

const VALUES: readonly Value[] = [
  // mean 2, variance 1, and 1 + 3 = 2²
  ['layerNorm(x f32[1, 2] {1, 3}, g f32[2] {10, 100}, b f32[2] {1, 2}) {epsilon: 3}', 'f32[1, 2]', [-4, 52]],
  ['noNorm(x f32[2, 2] {1, 2, 3, 4}, g f32[2] {10, 100}, b f32[2] {1, 2})', 'f32[2, 2]', [11, 202, 31, 402]],
  [`softmax(x f32[2] {0, ${Math.log(3)}})`, 'f32[2]', [0.25, 0.75]],
  ['softmax(x f32[2, 2] {0, 1, 0, 1}) {axis: 0}', 'f32[2, 2]', [0.5, 0.5, 0.5, 0.5]],
  ['softmax(x f32[3] {1000, 1000, -Infinity})', 'f32[3]', [0.5, 0.5, 0]],
  ['mean(x f32[2, 2] {1, 3, 5, 9})', 'f32[2, 1]', [2, 7]],
  ['mean(x f32[2, 2] {1, 3, 5, 9}) {axis: 0, keepDims: false}', 'f32[2]', [3, 6]],
  ['sum(x f32[2, 2] {1, 3, 5, 9})', 'f32[2, 1]', [4, 14]],
  ['sum(x i64[2, 2] {1, 3, 5, 9}) {axis: 0, keepDims: false}', 'i64[2]', [6, 12]],
  ['max(x f32[2, 2] {1, 3, -5, -9})', 'f32[2, 1]', [3, -5]],
  ['max(x i32[2, 2] {1, 3, 5, 2}) {axis: 0, keepDims: false}', 'i32[2]', [5, 3]],
  ['normalize(x f32[2, 2] {3, 4, 0, -2})', 'f32[2, 2]', [0.6, 0.8, 0, -1]],
  ['normalize(x f32[1, 2] {0.3, 0.4}) {epsilon: 2}', 'f32[1, 2]', [0.15, 0.2]],
  ['normalize(x f32[1, 2] {0, 0})', 'f32[1, 2]', [0, 0]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each<Refusal>([
  ['layerNorm(x i64[1] {1}, g f32[1] {1}, b f32[1] {1})', 'norm of i64[1], takes floats'],
  ['layerNorm(x f32[2] {1, 2}, g f32[1] {1}, b f32[2] {1, 2})', 'norm of [2] with gamma [1] and beta [2]'],
  ['noNorm(x f32[] {1}, g f32[1] {1}, b f32[1] {1})', 'norm of f32[], takes floats'],
  ['noNorm(x f32[2] {1, 2}, g f32[2] {1, 2}, b f32[1] {1})', 'norm of [2] with gamma [2] and beta [1]'],
  ['softmax(x f32[2] {1, 2}) {axis: 1}', 'softmax of axis 1 of f32[2]'],
  ['softmax(x i64[2] {1, 2})', 'softmax of axis -1 of i64[2]'],
  ['mean(x f32[2] {1, 2}) {axis: -2}', 'mean of axis -2 of f32[2]'],
  ['mean(x i64[2] {1, 2})', 'mean of axis -1 of i64[2]'],
  ['sum(x bool[2] {1, 0})', 'sum of axis -1 of bool[2]'],
  ['max(x f32[2] {1, 2}) {axis: 1}', 'max of axis 1 of f32[2]'],
  ['normalize(x i64[2] {1, 2})', 'normalize of i64[2]'],
  ['normalize(x f32[] {1})', 'normalize of f32[]'],
  ['sum(x f32[2] {1, 2}) {axis: 1}', 'sum of axis 1 of f32[2]'],
])('refuses %s', (call, message) => {
  expect(() => computed(call)).toThrow(message);
});
