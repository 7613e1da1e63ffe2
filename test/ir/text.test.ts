import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { graphOf } from '../core.ts';

test('prints what it reads', () => {
  const text = graphText(
    graphOf(`graph "my model" (x: f32[batch, 2])
    h = linear(x, w f32[2, 2] {1, 2, 3, 4}, b f32[2] {0, -20}) {activation: relu}
    y = reshape(h) {shape: [2*batch]}
    return out: y, "the 2nd": h`),
  );
  expect(text).toMatchInlineSnapshot(`
    "graph "my model" (x: f32[batch, 2])
      h = linear(x, w f32[2, 2] {1, 2, 3, 4}, b f32[2] {0, -20}) {activation: relu}  f32[batch, 2]
      y = reshape(h) {shape: [2*batch]}  f32[2*batch]
    return out: y, "the 2nd": h"
  `);
  expect(graphText(graphOf(text))).toBe(text);
});

test('evaluates what it reads', () => {
  const graph = graphOf(`graph g (x: f32[batch, 2])
    h = linear(x, w f32[3, 2] {1, 2, 3, 4, 5, 6}, b f32[3] {0, 0, -20}) {activation: relu}
    return out: h`);
  const out = evaluate(graph, new Map([['x', tensorOf('f32', [1, 2], Float32Array.of(1, 1))]])).get('out') as Tensor;
  expect([...readF32(out)]).toEqual([3, 7, 0]);
});

test.each([
  ['graph g (x: f32[2]) y = foo(x) return o: y', '"foo" is not an op'],
  ['graph g (x: f32[2]) return o: z', 'z is not defined above'],
  ['graph g (x: f99[2]) return o: x', '"f99" is not a dtype'],
  ['graph g (x: f32[2]) y = add(x, c f32[2] {1}) return o: y', 'c has 1 values, its shape wants 2'],
  ['graph g (x: f32[2]) y = add(x, c f32[3] {1, 2, 3}) return o: y', 'y: add cannot broadcast [2] with [3]'],
])('refuses %s', (text, problem) => {
  expect(() => graphOf(text)).toThrow(problem);
});

test('reads and evaluates values that are stored quantized', () => {
  const graph = graphOf(`graph g (x: f32[3])
    q = quantize(x)  i8[3] q(0.5, -1)
    y = add(q, c i8[3] q(0.25, 2) {2, 3, 10})
    return out: y`);
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph g (x: f32[3])
      q = quantize(x)  i8[3] q(0.5, -1)
      y = add(q, c i8[3] q(0.25, 2) {2, 3, 10})  f32[3]
    return out: y"
  `);
  const out = evaluate(graph, new Map([['x', tensorOf('f32', [3], Float32Array.of(0.3, -0.25, 100))]])).get(
    'out',
  ) as Tensor;
  expect([...readF32(out)]).toEqual([0.5, 0.25, 66]);
});
