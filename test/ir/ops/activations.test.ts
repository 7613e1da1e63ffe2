import { expect, test } from 'vitest';
import { computed, expectValue, type Value } from './calls.ts';

/** ln 3: tanh(ln 3 / 2) = 1/2, sigmoid(ln 3) = 3/4. */
const LN_3 = Math.log(3);

const VALUES: readonly Value[] = [
  ['relu(x f32[3] {-2, 0, 3})', 'f32[3]', [0, 0, 3]],
  ['relu(x f16[1] {-2})', 'f32[1]', [0]],
  [`tanh(x f32[2] {0, ${LN_3 / 2}})`, 'f32[2]', [0, 0.5]],
  [`sigmoid(x f32[2] {0, ${LN_3}})`, 'f32[2]', [0.5, 0.75]],
  // Abramowitz and Stegun, table 7.1; series, continued fraction and what is 1 in f32.
  ['erf(x f32[4] {-1, 0, 3, 7})', 'f32[4]', [-0.8427008, 0, 0.9999779, 1]],
  // Φ(1) = 0.8413447
  ['gelu(x f32[3] {-1, 0, 1})', 'f32[3]', [-0.1586553, 0, 0.8413447]],
  ['gelu(x f32[1] {1}) {tanh: true}', 'f32[1]', [0.841192]],
  ['sqrt(x f32[2] {9, 2.25})', 'f32[2]', [3, 1.5]],
  ['ceil(x f32[4] {-1.5, -1, 0.25, 2})', 'f32[4]', [-1, -1, 1, 2]],
  [`cos(x f32[2] {0, ${Math.PI / 3}})`, 'f32[2]', [1, 0.5]],
  [`sin(x f32[2] {0, ${Math.PI / 6}})`, 'f32[2]', [0, 0.5]],
  ['log(x f32[2] {1, 3})', 'f32[2]', [0, LN_3]],
  ['rsqrt(x f32[2] {4, 0.25})', 'f32[2]', [0.5, 2]],
];

test.each(VALUES)('%s is %s %j', expectValue);

test.each(['relu', 'tanh', 'sigmoid', 'erf', 'gelu', 'sqrt', 'rsqrt', 'log', 'ceil', 'cos', 'sin'])(
  '%s refuses integers',
  (op) => {
    expect(() => computed(`${op}(x i64[1] {1})`)).toThrow(`${op} of i64, takes floats`);
  },
);
