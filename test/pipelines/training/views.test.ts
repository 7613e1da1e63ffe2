import { expect, test } from 'vitest';
import { viewed } from '../../../src/pipelines/training/views.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { randomNumbers } from '../../../src/solve/random-numbers.ts';

const [CLS, SEP, MASK] = [101, 102, 103];
const row = (...words: number[]): TokenRow => ({
  inputIds: [CLS, ...words, SEP],
  tokenTypeIds: new Array<number>(words.length + 2).fill(0),
});
const OPTIONS = { random: randomNumbers(1), mask: MASK };

test('halves are a text between them, each with the first and the last token', () => {
  const text = row(1, 2, 3, 4, 5);
  expect(viewed(text, 'full', OPTIONS)).toBe(text);
  expect(viewed(text, 'left', OPTIONS)).toEqual(row(1, 2, 3));
  expect(viewed(text, 'right', OPTIONS)).toEqual(row(4, 5));
});

test('a text of one word and a pair are not halved', () => {
  const pair = { inputIds: [CLS, 1, 2, SEP, 3, SEP], tokenTypeIds: [0, 0, 0, 0, 1, 1] };
  for (const text of [row(1), pair]) {
    expect(viewed(text, 'left', OPTIONS)).toBe(text);
    expect(viewed(text, 'right', OPTIONS)).toBe(text);
  }
});

test('a masked text keeps its length, its ends and about six words of seven', () => {
  const text = row(...Array.from({ length: 4000 }, (_, i) => 1000 + i));
  const { inputIds, tokenTypeIds } = viewed(text, 'masked', OPTIONS);
  expect(tokenTypeIds).toEqual(text.tokenTypeIds);
  const changed = inputIds.flatMap((id, i) => (id === text.inputIds[i] ? [] : [id]));
  expect(new Set(changed)).toEqual(new Set([MASK]));
  expect(changed.length / 4000).toBeCloseTo(0.15, 1);
  expect([inputIds[0], inputIds.at(-1)]).toEqual([CLS, SEP]);
});
