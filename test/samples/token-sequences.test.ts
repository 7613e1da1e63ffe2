import { describe, expect, test } from 'vitest';
import { readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import { feedsOf } from '../../src/samples/feeds.ts';
import { randomSequences, type SequenceOptions } from '../../src/samples/token-sequences.ts';

const NAMES = ['input_ids', 'attention_mask', 'token_type_ids'] as const;

/** The rows of all three feeds. */
function rowsOf(options: SequenceOptions): { ids: number[]; mask: number[]; types: number[] }[] {
  const feeds = randomSequences(options);
  const length = options.shape.at(-1) as number;
  const [ids, mask, types] = NAMES.map((name) => readIntegers(feeds.get(name) as Tensor)) as [
    number[],
    number[],
    number[],
  ];
  return Array.from({ length: ids.length / length }, (_, i) => {
    const part = (values: number[]) => values.slice(i * length, (i + 1) * length);
    return { ids: part(ids), mask: part(mask), types: part(types) };
  });
}

describe('randomSequences', () => {
  test('makes the same feeds from the same seed, on every machine', () => {
    const lines = rowsOf({ shape: [2, 8], seed: 7 }).map(({ ids, mask, types }) => `${ids} | ${mask} | ${types}`);
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "99,55,45,27,67,26,30,26 | 1,1,1,1,1,1,1,1 | 0,0,0,0,1,1,1,1
      85,91,51,71,14,57,72,37 | 1,1,1,1,1,1,1,1 | 0,0,0,0,0,0,1,1"
    `);
    expect(rowsOf({ shape: [2, 8], seed: 7 })).toEqual(rowsOf({ shape: [2, 8], seed: 7 }));
    expect(rowsOf({ shape: [2, 8], seed: 7 })).not.toEqual(rowsOf({ shape: [2, 8], seed: 8 }));
  });

  test('pads behind the text, with id, mask and type 0', () => {
    for (const { ids, mask, types } of rowsOf({ shape: [200, 12], seed: 1, vocabSize: 30 })) {
      const valid = mask.filter((value) => value === 1).length;
      expect(valid).toBeGreaterThan(0);
      expect(mask).toEqual(mask.toSorted((a, b) => b - a));
      expect(ids.slice(valid)).toEqual(ids.slice(valid).fill(0));
      expect(types.slice(valid)).toEqual(types.slice(valid).fill(0));
      expect(ids.slice(0, valid).every((id) => id >= 1 && id < 30)).toBe(true);
      // The first part has type 0, the second 1.
      expect(types[0]).toBe(0);
      expect(types.slice(0, valid)).toEqual(types.slice(0, valid).toSorted((a, b) => a - b));
    }
  });

  test('varies lengths and parts and reaches every id', () => {
    const rows = rowsOf({ shape: [400, 12], seed: 1, vocabSize: 30 });
    const lengths = new Set(rows.map(({ mask }) => mask.lastIndexOf(1) + 1));
    expect(lengths.size).toBe(12);
    expect(rows.some(({ types }) => types.includes(1))).toBe(true);
    expect(rows.some(({ types }) => !types.includes(1))).toBe(true);
    expect(new Set(rows.flatMap(({ ids }) => ids)).size).toBe(30);
  });

  test('takes any leading axes and both id types', () => {
    for (const dtype of ['i32', 'i64'] as const) {
      for (const tensor of randomSequences({ shape: [2, 3, 5], seed: 1, dtype }).values()) {
        expect(tensor).toMatchObject({ dtype, shape: [2, 3, 5] });
        expect(tensor.bytes().byteLength).toBe(30 * (dtype === 'i32' ? 4 : 8));
      }
    }
  });

  test('has only type 0 for a model with one token type', () => {
    const rows = rowsOf({ shape: [50, 6], seed: 3, tokenTypes: 1 });
    expect(rows.every(({ types }) => types.every((type) => type === 0))).toBe(true);
  });

  test('refuses a vocabulary of [PAD] alone', () => {
    expect(() => randomSequences({ shape: [1, 4], seed: 1, vocabSize: 1 })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
  });
});

describe('feedsOf', () => {
  const row = { inputIds: [5, 6, 7], tokenTypeIds: [0, 0, 1] };

  test('pads with the id that it is given', () => {
    const feeds = feedsOf([row, { inputIds: [8], tokenTypeIds: [0] }], { dtype: 'i64', shape: [2, 4], pad: 9 });
    expect([...feeds].map(([name, tensor]) => [name, readIntegers(tensor)])).toEqual([
      ['input_ids', [5, 6, 7, 9, 8, 9, 9, 9]],
      ['attention_mask', [1, 1, 1, 0, 1, 0, 0, 0]],
      ['token_type_ids', [0, 0, 1, 0, 0, 0, 0, 0]],
    ]);
  });

  test.each([
    ['a row that is too long', [1, 2], '3 tokens do not fit a sequence of 2'],
    ['rows that do not fill the shape', [2, 3], '1 token sequences do not fill [2, 3]'],
  ])('refuses %s', (_, shape, message) => {
    expect(() => feedsOf([row], { dtype: 'i32', shape, pad: 0 })).toThrow(
      expect.objectContaining({ code: 'MISMATCH', message }),
    );
  });
});
