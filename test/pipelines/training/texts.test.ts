import { expect, test } from 'vitest';
import { type LessonOptions, lessons, withJoined } from '../../../src/pipelines/training/texts.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';

const [CLS, SEP] = [101, 102];

/** Each text has words of its own: those of text t are t·1000 + place. */
const TEXTS: readonly TokenRow[] = Array.from({ length: 40 }, (_, text) => {
  const words = Array.from({ length: 3 + (text % 7) }, (_, place) => (text + 1) * 1000 + place);
  return { inputIds: [CLS, ...words, SEP], tokenTypeIds: new Array<number>(words.length + 2).fill(0) };
});
const OPTIONS = { size: 8, seed: 5, maxLength: 15, views: ['full'], mask: undefined } as const;

/** The texts that a teacher reads in the first 40 batches. */
function batchesOf(rows: readonly TokenRow[], options: LessonOptions, count = 40): TokenRow[][] {
  const drawn = lessons(rows, options);
  return Array.from({ length: count }, () => drawn.next().value.lessons.map(({ teacher }) => teacher));
}

test('batches are as large as asked, and the same for the same seed', () => {
  const batches = batchesOf(TEXTS, OPTIONS);
  expect(batches.map(({ length }) => length)).toEqual(new Array(40).fill(8));
  expect(batchesOf(TEXTS, OPTIONS)).toEqual(batches);
  expect(batchesOf(TEXTS, { ...OPTIONS, seed: 6 })).not.toEqual(batches);
});

test('half of the texts are as they were, the others are two of them with some words replaced', () => {
  const rows = batchesOf(TEXTS, OPTIONS).flat();
  const known = new Set(TEXTS.map(({ inputIds }) => inputIds.join()));
  const changed = rows.filter(({ inputIds }) => !known.has(inputIds.join()));
  expect(changed.length / rows.length).toBeGreaterThan(0.4);
  expect(changed.length / rows.length).toBeLessThan(0.6);
  const words = new Set(TEXTS.flatMap(({ inputIds }) => inputIds.slice(1, -1)));
  for (const { inputIds, tokenTypeIds } of rows) {
    expect(inputIds.length).toBeLessThanOrEqual(OPTIONS.maxLength);
    expect([inputIds[0], inputIds.at(-1)]).toEqual([CLS, SEP]);
    expect(inputIds.slice(1, -1).every((id) => words.has(id))).toBe(true);
    expect(tokenTypeIds).toEqual(inputIds.map(() => 0));
  }
  // Words beside one another come from one text or, where two meet, are its neighbour's; a replaced word breaks two pairs.
  const breaks = changed.map(({ inputIds }) =>
    inputIds.slice(2, -1).filter((id, i) => id !== (inputIds[i + 1] as number) + 1),
  );
  expect(Math.max(...breaks.map(({ length }) => length))).toBeGreaterThan(2);
});

test('sequences of a batch are about as long as one another', () => {
  const spread = (rows: readonly TokenRow[]) => {
    const lengths = rows.map(({ inputIds }) => inputIds.length);
    return Math.max(...lengths) - Math.min(...lengths);
  };
  const batches = batchesOf(TEXTS, OPTIONS);
  const mean = batches.reduce((sum, rows) => sum + spread(rows), 0) / batches.length;
  expect(mean).toBeLessThan(3);
});

test('a pair of texts is not joined with another one, and its separators stay', () => {
  const pair = { inputIds: [CLS, 7, 8, SEP, 9, SEP], tokenTypeIds: [0, 0, 0, 0, 1, 1] };
  const rows = batchesOf([pair], OPTIONS, 4).flat();
  for (const { inputIds, tokenTypeIds } of rows) {
    expect([inputIds[0], inputIds[3], inputIds[5], inputIds.length]).toEqual([CLS, SEP, SEP, 6]);
    expect(tokenTypeIds).toEqual(pair.tokenTypeIds);
  }
  expect(withJoined([pair, pair], 20)).toEqual([pair, pair, pair]);
});

test('texts are followed by each two neighbours as one, cut to what the model takes', () => {
  const [a, b] = TEXTS as unknown as readonly [TokenRow, TokenRow];
  expect(withJoined([a, b], 7).map(({ inputIds }) => inputIds)).toEqual([
    a.inputIds,
    b.inputIds,
    [CLS, 1000, 1001, 1002, 2000, 2001, SEP],
  ]);
});
