import { expect, test } from 'vitest';
import { computed, expectValue, type Refusal, typeOf, type Value } from './calls.ts';

const VALUES: readonly Value[] = [
  ['cast(x f32[3] {0, -0.5, 2}) {to: bool}', 'bool[3]', [0, 1, 1]],
  ['cast(x f32[2] {-3.7, 5.2}) {to: i8}', 'i8[2]', [-3, 5]],
  ['cast(x f32[2] {NaN, 5.2}) {to: i64}', 'i64[2]', [0, 5]],
  ['cast(x i32[1] {3}) {to: f16}', 'f32[1]', [3]],
  // 127 steps of 0.5 are as far as it goes.
  ['quantize(x f32[3] {0.6, -2, 90}) i8[3] q(0.5, 0)', 'f32[3]', [0.5, -2, 63.5]],
  ['quantize(x f32[1] {0.6})', 'f32[1]', [0.6]],
  ['dequantize(x i8[2] q(0.5, 1) {1, 5})', 'f32[2]', [0, 2]],
  // 0 to 2.55 in 255 steps of 0.01; halves go to the even step.
  ['dynamicRound(x f32[3] {0.014, 1.006, 2.55})', 'f32[3]', [0.01, 1.01, 2.55]],
  // 0 is always one of the steps, and a range without extent has steps of 1.
  ['dynamicRound(x f32[2] {-1, -0.25})', 'f32[2]', [-1, -0.2509804]],
  ['dynamicRound(x f32[2] {0, 0})', 'f32[2]', [0, 0]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each([
  ['foreign(x) {op: Einsum, outputDtype: i64, outputShape: [batch, 2]}', 'i64[batch, 2]'],
  ['foreign(x) {op: Einsum}', 'f32[?]'],
  ['pick(x) {index: 1, outputDtype: i32, outputShape: [2]}', 'i32[2]'],
])('%s is %s, as its source says', (call, type) => {
  expect(typeOf('x: f32[batch, 2]', call)).toBe(type);
});

test.each<Refusal>([
  ['quantize(x i64[1] {1})', 'quantize of i64, takes floats'],
  ['dequantize(x i64[1] {1})', 'dequantize of i64, takes floats'],
  ['dynamicRound(x i64[1] {1})', 'dynamicRound of i64, takes floats'],
  ['foreign(x f32[1] {1}) {op: Einsum}', 'y: foreign cannot be evaluated'],
  ['pick(x f32[1] {1})', 'y: pick cannot be evaluated'],
])('refuses %s', (call, message) => {
  expect(() => computed(call)).toThrow(message);
});
