import { expect, test } from 'vitest';
import { evaluate } from '../src/evaluate.ts';
import { readF32, tensorOf } from '../src/tensor.ts';
import { graphText } from '../src/text.ts';
import { graphOf } from './core.ts';

test('prints what it reads', () => {
  const text = graphText(
    graphOf(`graph g (x: f32[batch, 2])
    h = linear(x, w f32[3, 2] {1, 2, 3, 4, 5, 6}, b f32[3] {0, 0, -20}) {activation: relu}
    y = reshape(h) {shape: [3*batch]}
    return out: y, "the 2nd": h`),
  );
  expect(text).toMatchInlineSnapshot(`
    "graph g (x: f32[batch, 2])
      h = linear(x, w f32[3, 2] #24ae2dfe, b f32[3] {0, 0, -20}) {activation: relu}  f32[batch, 3]
      y = reshape(h) {shape: [3*batch]}  f32[3*batch]
    return out: y, "the 2nd": h"
  `);
  expect(graphText(graphOf(text))).toBe(text);
});

test('evaluates', () => {
  const graph = graphOf(`graph g (x: f32[batch, 2])
    h = linear(x, w f32[3, 2] {1, 2, 3, 4, 5, 6}, b f32[3] {0, 0, -20}) {activation: relu}
    return out: h`);
  const out = evaluate(graph, new Map([['x', tensorOf('f32', [1, 2], Float32Array.of(1, 1))]]));
  expect([...readF32(out.get('out') as never)]).toEqual([3, 7, 0]);
});
