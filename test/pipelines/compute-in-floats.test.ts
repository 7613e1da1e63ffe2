import { expect, test } from 'vitest';
import { computeInFloats } from '../../src/pipelines/write/compute-in-floats.ts';
import { after } from '../core.ts';

const graph = (...lines: readonly string[]) => `graph g (x: f32[batch, 4])
  q = quantize(x)  i8[batch, 4] q(0.02, 3)
  ${lines.join('\n  ')}
return y: y`;

test('an op without an integer kernel computes on real numbers', async () => {
  expect(await after(computeInFloats, graph('y = erf(q)  i8[batch, 4] q(0.01, 0)'))).toBe(
    graph(
      'q/real = dequantize(q)  f32[batch, 4]',
      'y_1 = erf(q/real)  f32[batch, 4]',
      'y = quantize(y_1)  i8[batch, 4] q(0.01, 0)',
    ),
  );
});

test('a value is dequantized once for all its readers', async () => {
  const text = graph('e = erf(q)  f32[batch, 4]', 'y = mul(e, q)  f32[batch, 4]');
  expect(await after(computeInFloats, text)).toBe(
    graph(
      'q/real = dequantize(q)  f32[batch, 4]',
      'e = erf(q/real)  f32[batch, 4]',
      'y = mul(e, q/real)  f32[batch, 4]',
    ),
  );
});

test('an op that moves values to another scale stores them anew', async () => {
  const text = graph('y = transpose(q) {permutation: [1, 0]}  i8[4, batch] q(0.01, 3)');
  expect(await after(computeInFloats, text)).toContain('y = quantize(y_1)  i8[4, batch] q(0.01, 3)');
});

test('rows of a table whose zero point is not 0 are looked up as integers', async () => {
  const text = `graph g (ids: i32[batch])
  y = gather(t i8[3, 2] q(0.5, 1) {1, 2, 3, 4, 5, 6}, ids) {axis: 0}
return y: y`;
  expect(await after(computeInFloats, text)).toMatch(
    /y = gather\(.*\) {2}i8\[batch, 2\] q\(0\.5, 1\)\n {2}y\/real = dequantize\(y\)/,
  );
});

test.each([
  'y = relu(q)  i8[batch, 4] q(0.02, -128)',
  'y = add(q, q)  i8[batch, 4] q(0.04, 3)',
  'y = dequantize(q)  f32[batch, 4]',
])('%s has a kernel and stays', async (line) => {
  expect(await after(computeInFloats, graph(line))).toBe(graph(line));
});

test('a sum whose scales are further apart than its kernel computes is one of floats', async () => {
  const text = graph('y = add(q, m i8[4] q(1e30, 0) {0, 0, -128, 0})  i8[batch, 4] q(1e30, 0)');
  expect(await after(computeInFloats, text)).toContain('y_1 = add(q/real, ');
});
