import { expect, test } from 'vitest';
import { computed, expectValue, type Refusal, typeOf, type Value } from './calls.ts';

const VALUES: readonly Value[] = [
  ['linear(x f32[2, 2] {1, 2, 3, 4}, w f32[1, 2] {10, 1}, b f32[1] {0.5})', 'f32[2, 1]', [12.5, 34.5]],
  ['linear(x f32[2] {1, 2}, w f32[2, 2] {1, 1, -1, 0})', 'f32[2]', [3, -1]],
  ['linear(x f32[2] {1, 2}, w f32[2, 2] {1, 1, -1, 0}) {activation: relu}', 'f32[2]', [3, 0]],
  ['matmul(a f32[1, 1, 2] {1, 2}, b f32[1, 2, 2] {1, 2, 3, 4})', 'f32[1, 1, 2]', [7, 10]],
  ['matmul(a f32[1, 2] {1, 2}, b f32[2, 2] {1, 2, 3, 4}) {transposeB: true}', 'f32[1, 2]', [5, 11]],
  ['matmul(a f32[1, 1, 1] {3}, b f32[2, 1, 1] {1, 2})', 'f32[2, 1, 1]', [3, 6]],
  ['matmul(a f32[2, 1, 1, 1] {3, 4}, b f32[1, 2, 1, 1] {1, 2})', 'f32[2, 2, 1, 1]', [3, 6, 4, 8]],
  // 10 times the one before, the token itself, 100 times the one behind; zeros around.
  ['conv1d(x f32[1, 3, 1] {1, 2, 3}, w f32[1, 3, 1] {10, 1, 100})', 'f32[1, 3, 1]', [201, 312, 23]],
  ['conv1d(x f32[1, 1, 2] {1, 2}, w f32[1, 1, 2] {3, 4}, b f32[1] {0.5})', 'f32[1, 1, 1]', [11.5]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each([
  ['x: f32[batch, sequence, 4], w: f32[3, 4]', 'linear(x, w)', 'f32[batch, sequence, 3]'],
  ['a: f32[batch, 2, sequence, 4]', 'matmul(a, a) {transposeB: true}', 'f32[batch, 2, sequence, sequence]'],
  ['x: f32[batch, sequence, 4], w: f32[3, 5, 4]', 'conv1d(x, w)', 'f32[batch, sequence, 3]'],
])('of %s: %s is %s', (inputs, call, type) => {
  expect(typeOf(inputs, call)).toBe(type);
});

test.each<Refusal>([
  ['linear(x i64[2] {1, 2}, w f32[1, 2] {1, 2})', 'linear of i64 and f32, takes floats'],
  ['linear(x f32[2] {1, 2}, w f32[1, 3] {1, 2, 3})', 'linear of [2] with weight [1, 3]'],
  ['linear(x f32[1] {1}, w f32[1, 1] {1}, b f32[2] {1, 2})', 'linear with 1 outputs and bias [2]'],
  ['matmul(a i64[1, 1] {1}, b f32[1, 1] {1})', 'matmul of i64 and f32, takes floats'],
  ['matmul(a f32[1, 2] {1, 2}, b f32[1, 2] {1, 2})', 'matmul of [1, 2] and [1, 2]'],
  ['matmul(a f32[1, 2] {1, 2}, b f32[2, 1] {1, 2}) {transposeB: true}', 'matmul of [1, 2] and [2, 1] transposed'],
  ['conv1d(x i64[1, 1, 1] {1}, w f32[1, 1, 1] {1})', 'conv1d of i64 and f32, takes floats'],
  ['conv1d(x f32[1, 1, 1] {1}, w f32[1, 2, 1] {1, 2})', 'conv1d of [1, 1, 1] with weight [1, 2, 1]'],
  ['conv1d(x f32[1, 1, 1] {1}, w f32[1, 1, 1] {1}, b f32[2] {1, 2})', 'conv1d with 1 outputs and bias [2]'],
])('refuses %s', (call, message) => {
  expect(() => computed(call)).toThrow(message);
});
