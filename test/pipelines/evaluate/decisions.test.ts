import { expect, test } from 'vitest';
import {
  choicesBy,
  choicesOf,
  equalChoices,
  givesProbabilities,
  thresholdOf,
} from '../../../src/pipelines/evaluate/decisions.ts';
import { graphOf } from '../../core.ts';

test.each([
  [{ task: 'sequence-classification' }, 2, 'largest'],
  [{ task: 'sequence-classification', logitsKind: 'multi-label' }, 2, 'decisions'],
  [{ logitsKind: 'multi-label' }, 2, 'decisions'],
  // Hidden states beside the labels.
  [{ task: 'sequence-classification', logitsKind: 'multi-label' }, 3, 'largest'],
  [{ task: 'replaced-tokens' }, 2, 'decisions'],
  [{ task: 'token-classification' }, 3, 'largest'],
] as const)('%o with %d axes has choices by %s', (head, axes, expected) => {
  expect(choicesBy(head, axes)).toBe(expected);
});

test('an output says yes above 0, and above a half where it gives sigmoids, stored or shaped as they may be', () => {
  const graph = graphOf(`graph g (x: f32[1, 2])
  p = sigmoid(x)
  q = sigmoid(x)  u8[1, 2] q(0.00392156862745098, 0)
  real = dequantize(q)
  row = reshape(real) {shape: [2]}
  l = relu(x)
  s = softmax(x)
return logits: l, probability: p, stored: row, shares: s`);
  const names = [undefined, 'logits', 'probability', 'stored', 'shares'];
  expect(names.map((name) => thresholdOf(graph, name))).toEqual([0, 0, 0.5, 0.5, 0]);
  expect(names.map((name) => givesProbabilities(graph, name))).toEqual([false, false, true, true, true]);
});

test('decisions are of each value, places of each row, and NaN is none', () => {
  const values = Float32Array.of(0.4, 0.6, 0.7, 0.1, Number.NaN, 0.9);
  expect([...Array.from(choicesOf('decisions', values, 2, 0.5))]).toEqual([0, 1, 1, 0, -1, 1]);
  expect([...Array.from(choicesOf('decisions', values, 2, 0))]).toEqual([1, 1, 1, 1, -1, 1]);
  expect([...Array.from(choicesOf('largest', values, 2, 0.5))]).toEqual([1, 0, -1]);
});

test('choices are equal where they are made: NaN is none, not even beside NaN', () => {
  expect(equalChoices([0, 1, -1, 2], [0, 2, -1, 2])).toBe(2);
});
