import { describe, expect, test } from 'vitest';
import type { TokenRow } from '../../src/samples/feeds.ts';
import { readViews, VIEWS, viewRows } from '../../src/samples/views.ts';

const [CLS, SEP, MASK] = [2, 3, 4];
const options = { mask: MASK, seed: 1 };

const SINGLE: TokenRow = { inputIds: [CLS, 10, 11, 12, 13, 14, SEP], tokenTypeIds: [0, 0, 0, 0, 0, 0, 0] };
const PAIR: TokenRow = { inputIds: [CLS, 10, 11, SEP, 20, 21, 22, SEP], tokenTypeIds: [0, 0, 0, 0, 1, 1, 1, 1] };

describe('a view', () => {
  test('of all is the row itself', () => {
    expect(viewRows([SINGLE, PAIR], 'full', options)).toEqual([SINGLE, PAIR]);
  });

  test('of a half keeps special tokens, and halves each text of a pair with its token types', () => {
    expect(viewRows([SINGLE, PAIR], 'left', options)).toEqual([
      { inputIds: [CLS, 10, 11, 12, SEP], tokenTypeIds: [0, 0, 0, 0, 0] },
      { inputIds: [CLS, 10, SEP, 20, 21, SEP], tokenTypeIds: [0, 0, 0, 1, 1, 1] },
    ]);
    expect(viewRows([SINGLE, PAIR], 'right', options)).toEqual([
      { inputIds: [CLS, 12, 13, 14, SEP], tokenTypeIds: [0, 0, 0, 0, 0] },
      { inputIds: [CLS, 11, SEP, 21, 22, SEP], tokenTypeIds: [0, 0, 0, 1, 1, 1] },
    ]);
  });

  test('of masked tokens hides a seventh of them, one at least, and no special ones', () => {
    const long: TokenRow = {
      inputIds: [CLS, ...Array.from({ length: 1000 }, (_, i) => 10 + i), SEP],
      tokenTypeIds: new Array<number>(1002).fill(0),
    };
    const [shown] = viewRows([long], 'masked', options) as [TokenRow];
    const hidden = shown.inputIds.filter((id) => id === MASK).length;
    expect(hidden).toBeGreaterThan(120);
    expect(hidden).toBeLessThan(180);
    expect([shown.inputIds[0], shown.inputIds.at(-1), shown.inputIds.length]).toEqual([CLS, SEP, 1002]);
    const short: TokenRow = { inputIds: [CLS, 10, SEP], tokenTypeIds: [0, 0, 0] };
    expect(viewRows([short], 'masked', options)).toEqual([{ ...short, inputIds: [CLS, MASK, SEP] }]);
  });

  test('of masked tokens is drawn by its seed', () => {
    const seen = (seed: number) => viewRows([SINGLE, PAIR, SINGLE], 'masked', { mask: MASK, seed });
    expect(seen(5)).toEqual(seen(5));
    expect(seen(5)).not.toEqual(seen(6));
  });

  test('of an empty text is that text', () => {
    const empty: TokenRow = { inputIds: [CLS, SEP], tokenTypeIds: [0, 0] };
    for (const view of VIEWS) expect(viewRows([empty], view, options), view).toEqual([empty]);
  });
});

test('names of views stay in their order, and others are refused', () => {
  expect(readViews(['masked', 'full', 'masked'])).toEqual(['masked', 'full', 'masked']);
  expect(() => readViews(['full', 'top'])).toThrow('--views: no view is called top');
});
