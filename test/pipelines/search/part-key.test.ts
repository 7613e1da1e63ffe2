import { expect, test } from 'vitest';
import { partKey } from '../../../src/pipelines/search/part-key.ts';
import { graphOf } from '../../core.ts';

const keyOf = (...lines: readonly string[]) =>
  partKey(graphOf(`graph g (x: f32[2, 2])\n${lines.map((line) => `  ${line}`).join('\n')}\nreturn y: y`));

test('parts of equal ops and shapes are told apart by what reads what, and not by names or numbers', () => {
  const square = keyOf('a = add(x, w f32[2] {1, 2})', 'b = relu(a)', 'y = matmul(b, b)');
  const twoReads = keyOf('a = add(x, w f32[2] {1, 2})', 'b = relu(a)', 'y = matmul(a, b)');
  const otherNumbers = keyOf('c = add(x, v f32[2] {3, 4})', 'd = relu(c)', 'y = matmul(d, d)');
  expect(twoReads).not.toBe(square);
  expect(otherNumbers).toBe(square);
});
