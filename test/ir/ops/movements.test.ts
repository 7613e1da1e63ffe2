import { expect, test } from 'vitest';
import { computed, expectValue, type Refusal, typeOf, type Value } from './calls.ts';

const X = 'x f32[2, 3] {1, 2, 3, 4, 5, 6}';

const VALUES: readonly Value[] = [
  [`reshape(${X}) {shape: [3, 2]}`, 'f32[3, 2]', [1, 2, 3, 4, 5, 6]],
  [`transpose(${X}) {permutation: [1, 0]}`, 'f32[3, 2]', [1, 4, 2, 5, 3, 6]],
  [`slice(${X}) {axis: -1, start: 1, end: 3}`, 'f32[2, 2]', [2, 3, 5, 6]],
  ['concat(a f32[2, 1] {1, 2}, b f32[2, 2] {3, 4, 5, 6})', 'f32[2, 3]', [1, 3, 4, 2, 5, 6]],
  ['concat(a i64[1] {1}, b i64[2] {2, 3}, a) {axis: 0}', 'i64[4]', [1, 2, 3, 1]],
  [`shift(${X}) {axis: 1, offset: 1}`, 'f32[2, 3]', [2, 3, 0, 5, 6, 0]],
  [`shift(${X}) {axis: 0, offset: -1}`, 'f32[2, 3]', [0, 0, 0, 1, 2, 3]],
  ['pad(x f32[1, 2] {1, 2}) {before: [1, 0], after: [0, 1]}', 'f32[2, 3]', [0, 0, 0, 1, 2, 0]],
  ['expand(x i64[2, 1] {1, 2}) {shape: [2, 2, 2]}', 'i64[2, 2, 2]', [1, 1, 2, 2, 1, 1, 2, 2]],
  ['gather(t f16[2, 2] {1, 2, 3, 4}, i i64[3] {1, 0, 1})', 'f32[3, 2]', [3, 4, 1, 2, 3, 4]],
  [`gather(${X}, i i32[] {-1}) {axis: 1}`, 'f32[2]', [3, 6]],
  ['gather(t i64[2] {7, 8}, i i32[1] {1})', 'i64[1]', [8]],
  ['range() {end: 3}', 'i64[3]', [0, 1, 2]],
  ['range() {end: 2, to: i32}', 'i32[2]', [0, 1]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each([
  ['x: f32[batch, sequence, 4]', 'reshape(x) {shape: [batch*sequence, 2, 2]}', 'f32[batch*sequence, 2, 2]'],
  ['x: f32[batch, sequence, 4]', 'transpose(x) {permutation: [1, 2, 0]}', 'f32[sequence, 4, batch]'],
  ['x: f32[9, 2]', 'slice(x) {axis: 0, start: 0, end: sequence}', 'f32[sequence, 2]'],
  ['x: f32[sequence, 2]', 'slice(x) {axis: 0, start: 0, end: sequence:32}', 'f32[sequence:32, 2]'],
  ['x: f32[sequence, 2]', 'range() {end: sequence}', 'i64[sequence]'],
  ['x: f32[batch, 3], z: f32[batch, 2]', 'concat(x, z)', 'f32[batch, 5]'],
  ['x: f32[batch, sequence, 4]', 'shift(x) {offset: 1}', 'f32[batch, sequence, 4]'],
  ['x: f32[batch, 3]', 'pad(x) {before: [0, 1], after: [0, 2]}', 'f32[batch, 6]'],
  ['x: f32[batch, 1]', 'expand(x) {shape: [batch, sequence]}', 'f32[batch, sequence]'],
  ['t: f32[9, 2], ids: i32[batch, sequence]', 'gather(t, ids)', 'f32[batch, sequence, 2]'],
])('of %s: %s is %s', (inputs, call, type) => {
  expect(typeOf(inputs, call)).toBe(type);
});

test.each<Refusal>([
  ['reshape(x f32[2] {1, 2}) {shape: [3]}', 'reshape of [2] to [3]'],
  ['range() {end: 2, to: f32}', 'range to 2 of f32'],
  ['transpose(x f32[1, 2] {1, 2}) {permutation: [0, 0]}', 'transpose of [1, 2] by [0, 0]'],
  ['transpose(x f32[1, 2] {1, 2}) {permutation: [0]}', 'transpose of [1, 2] by [0]'],
  ['slice(x f32[2] {1, 2}) {start: 1, end: 3}', 'slice 1:3 of axis 0 of [2]'],
  ['slice(x f32[2] {1, 2}) {start: 1, end: 1}', 'slice 1:1 of axis 0 of [2]'],
  ['slice(x f32[2] {1, 2}) {axis: 1, end: 1}', 'slice 0:1 of axis 1 of [2]'],
  ['concat(a f32[2, 1] {1, 2}, b f32[1, 1] {1})', 'concat of [2, 1] and [1, 1] along axis -1'],
  ['shift(x f32[2] {1, 2}) {offset: 1}', 'shift by 1 along axis 1 of [2]'],
  ['shift(x f32[2] {1, 2}) {axis: 0, offset: 0.5}', 'shift by 0.5 along axis 0 of [2]'],
  ['pad(x f32[2] {1, 2}) {before: [1, 0], after: [0]}', 'pad of [2] by [1, 0] and [0]'],
  ['expand(x f32[2] {1, 2}) {shape: [3]}', 'expand of [2] to [3]'],
  ['expand(x f32[2] {1, 2}) {shape: [1]}', 'expand of [2] to [1]'],
  ['gather(t f32[2] {1, 2}, i f32[1] {0})', 'gather of axis 0 of [2] by f32'],
  ['gather(t f32[2] {1, 2}, i i32[1] {2})', 'gather of row 2 of 2'],
])('refuses %s', (call, message) => {
  expect(() => computed(call)).toThrow(message);
});

test.each([
  ['x: f32[batch, 2]', 'pad(x) {before: [1, 0], after: [0, 0]}', 'pad of the symbolic axis 0 of [batch, 2]'],
  ['x: f32[batch, 2]', 'concat(x, x) {axis: 0}', 'concat of [batch, 2] and [batch, 2] along axis 0'],
  ['x: f32[batch, 2]', 'slice(x) {axis: 0, start: 1, end: sequence}', 'slice 1:sequence of axis 0 of [batch, 2]'],
])('of %s: refuses %s', (inputs, call, message) => {
  expect(() => typeOf(inputs, call)).toThrow(message);
});
