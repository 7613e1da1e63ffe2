import { expect, test } from 'vitest';
import { raiseIntegers } from '../../src/passes/raise/integers.ts';
import { raiseStoredConstants } from '../../src/passes/raise/stored-constants.ts';
import { after } from '../core.ts';

/** The text after stored constants were read as real numbers, and what they came from was found again. */
const raised = (text: string, lone: 'real' | 'rounded' = 'real') =>
  after([raiseStoredConstants, raiseIntegers(lone)], text);

const graph = (...lines: readonly string[]) => `graph g (x: f32[batch, 4])\n${lines.join('\n')}\nreturn y: y`;

const WEIGHTS = 'w i8[2, 4] q(0.5, 0) {1, -2, 3, 4, 5, 6, 7, -8}, b f32[2] {1, 2}';
const STORED = 'w i8[2, 4] q(0.5, 0) #f5e6fd5c, b f32[2] {1, 2}';

test('a linear between dequantize and quantize is one of integers', async () => {
  const text = graph(
    'q = quantize(x)  i8[batch, 4] q(0.02, 3)',
    'd = dequantize(q)',
    `p = linear(d, ${WEIGHTS})`,
    'y = quantize(p)  i8[batch, 2] q(0.1, -5)',
  );
  expect(await raised(text)).toContain(`p = linear(q, ${STORED})  i8[batch, 2] q(0.1, -5)`);
});

test('stored weights meet what is rounded in the run', async () => {
  const text = graph('d = dynamicRound(x)', `y = linear(d, ${WEIGHTS})`);
  expect(await raised(text)).toContain(`y = linear(d, ${STORED})`);
});

test('stored weights that meet floats stay real numbers, unless the source rounds the floats', async () => {
  const text = graph(`y = linear(x, ${WEIGHTS})`);
  expect(await raised(text)).toMatch(/real = dequantize\(w i8.*\n {2}y = linear\(x, w_1\/real/);
  expect(await raised(text, 'rounded')).toContain(`y = linear(x, ${STORED})  f32[batch, 2]`);
});

const moved = (scale: number) =>
  graph(
    'q = quantize(x)  i8[batch, 4] q(0.02, 3)',
    'd = dequantize(q)',
    't = transpose(d) {permutation: [1, 0]}',
    `s = quantize(t)  i8[4, batch] q(${scale}, 3)`,
    'y = dequantize(s)',
  );

test('what only moves values moves integers, if they mean the same before and after', async () => {
  expect(await raised(moved(0.02))).toContain('t = transpose(q) {permutation: [1, 0]}  i8[4, batch] q(0.02, 3)');
  expect(await raised(moved(0.01))).toContain('s = quantize(t)  i8[4, batch] q(0.01, 3)');
});

test('an output that is real stays real', async () => {
  const text = graph('q = quantize(x)  i8[batch, 4] q(0.02, 3)', 'y = dequantize(q)');
  expect(await raised(text)).toContain('y = dequantize(q)  f32[batch, 4]');
});

test('rows that are scaled after they were looked up are rows of a table with scales', async () => {
  const text = `graph g (ids: i32[batch])
    c = gather(t i8[3, 2] {1, 2, 3, 4, 5, 6}, ids) {axis: 0}
    f = cast(c) {to: f32}
    s = gather(scales f32[3] {1, 2, 3}, ids) {axis: 0}
    r = reshape(s) {shape: [batch, 1]}
    y = mul(f, r)
    return y: y`;
  expect(await raised(text)).toMatch(/y = gather\(t i8\[3, 2\] q\(axis 0, #\w+\) #\w+, ids\) {2}f32\[batch, 2\]/);
  expect(
    await raised(text.replace('[batch, 1]', '[1, batch]').replaceAll('[3, 2]', '[3, 1]').replace(', 4, 5, 6', '')),
  ).toContain('mul(f, r)');
});
