import { expect, test } from 'vitest';
import { exchangedRows } from '../../src/samples/exchanged-rows.ts';

const PAIR = { inputIds: [2, 7, 8, 3, 9, 9, 3], tokenTypeIds: [0, 0, 0, 0, 1, 1, 1] };
const LONG = { inputIds: [2, ...new Array<number>(1000).fill(50), 3], tokenTypeIds: new Array<number>(1002).fill(0) };

test('rows are made in turns, with the tokens that frame a text where they were', () => {
  const made = exchangedRows([PAIR, LONG], 5, 40);
  expect(made.map(({ inputIds }) => inputIds.length)).toEqual([7, 1002, 7, 1002, 7]);
  for (const { inputIds, tokenTypeIds } of [made[0], made[2], made[4]] as (typeof PAIR)[]) {
    expect([inputIds[0], inputIds[3], inputIds[6]]).toEqual([2, 3, 3]);
    expect(tokenTypeIds).toEqual(PAIR.tokenTypeIds);
  }
  expect(made[0]).not.toEqual(made[2]);
  expect(exchangedRows([PAIR, LONG], 5, 40)).toEqual(made);
});

test('half of the tokens are exchanged for any of the vocabulary', () => {
  const ids = exchangedRows([LONG], 1, 40)[0]?.inputIds.slice(1, -1) as number[];
  const exchanged = ids.filter((id) => id !== 50);
  expect(exchanged.length / ids.length).toBeCloseTo(0.5, 1);
  expect(new Set(exchanged).size).toBe(40);
  expect([Math.min(...exchanged), Math.max(...exchanged)]).toEqual([0, 39]);
});

test('no rows are made of none, and none where as many as are wanted are there', () => {
  expect(exchangedRows([], 3, 40)).toEqual([]);
  expect(exchangedRows([PAIR], -1, 40)).toEqual([]);
});
