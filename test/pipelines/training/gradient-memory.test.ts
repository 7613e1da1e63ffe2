import { expect, test } from 'vitest';
import { gradientTokens, valuesPerToken } from '../../../src/pipelines/training/gradient-memory.ts';
import { graphOf } from '../../core.ts';

const graphOfWidth = (width: number) =>
  graphOf(`graph g (x: f32[batch, sequence, ${width}], scale: f32[8])
  wide = gelu(x)
  first = slice(wide) {axis: 2, end: 8}
  other = gelu(scale)
  y = mul(first, other)
return y: y`);

test('counts what all nodes compute for a token, and nothing that is there once', () => {
  expect(valuesPerToken(graphOfWidth(16))).toBe(16 + 8 + 8);
});

test('the larger a graph, the fewer tokens are run at once, down to one text', () => {
  const tokens = gradientTokens(graphOfWidth(50_000));
  expect(tokens * 3 * valuesPerToken(graphOfWidth(50_000))).toBeLessThanOrEqual(350e6);
  expect((tokens + 1) * 3 * valuesPerToken(graphOfWidth(50_000))).toBeGreaterThan(350e6);
  expect(gradientTokens(graphOfWidth(50_000_000))).toBe(64);
});
