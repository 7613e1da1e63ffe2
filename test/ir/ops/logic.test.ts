import { expect, test } from 'vitest';
import { computed, expectValue, type Refusal, type Value } from './calls.ts';

const VALUES: readonly Value[] = [
  ['and(a bool[2, 1] {1, 0}, b bool[2] {1, 0})', 'bool[2, 2]', [1, 0, 0, 0]],
  ['or(a bool[2, 1] {1, 0}, b bool[2] {1, 0})', 'bool[2, 2]', [1, 1, 1, 0]],
  ['not(x bool[2] {1, 0})', 'bool[2]', [0, 1]],
  ['isNan(x f32[3] {1, NaN, Infinity})', 'bool[3]', [0, 1, 0]],
  ['compare(a i64[3] {1, 2, 3}, b i64[] {2})', 'bool[3]', [0, 1, 0]],
  ['compare(a i64[3] {1, 2, 3}, b i64[] {2}) {test: less}', 'bool[3]', [1, 0, 0]],
  ['compare(a f32[3] {1, 2, 3}, b f32[] {2}) {test: lessOrEqual}', 'bool[3]', [1, 1, 0]],
  ['compare(a f32[3] {1, 2, 3}, b f32[] {2}) {test: greater}', 'bool[3]', [0, 0, 1]],
  ['compare(a f32[3] {1, 2, 3}, b f32[] {2}) {test: greaterOrEqual}', 'bool[3]', [0, 1, 1]],
  ['where(c bool[2, 1] {1, 0}, a f32[2] {1, 2}, b f32[] {9})', 'f32[2, 2]', [1, 2, 9, 9]],
  ['where(c bool[] {0}, a i64[1] {1}, b i64[1] {2})', 'i64[1]', [2]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each<Refusal>([
  ['and(a bool[2] {1, 0}, b bool[3] {1, 0, 1})', 'and cannot broadcast [2] with [3]'],
  ['and(a bool[1] {1}, b f32[1] {1})', 'and of bool and f32'],
  ['or(a f32[1] {1}, b bool[1] {1})', 'or of f32 and bool'],
  ['not(x f32[1] {1})', 'not of f32, takes bool'],
  ['isNan(x i64[1] {1})', 'isNan of i64, takes floats'],
  ['compare(a f32[1] {1}, b i64[1] {1})', 'compare of f32 and i64'],
  ['where(c f32[1] {1}, a f32[1] {1}, b f32[1] {1})', 'where of f32, f32 and f32'],
  ['where(c bool[3] {1, 1, 1}, a f32[2] {1, 2}, b f32[2] {1, 2})', 'where cannot broadcast [3], [2], [2]'],
])('refuses %s', (call, message) => {
  expect(() => computed(call)).toThrow(message);
});
