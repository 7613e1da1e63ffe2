import { describe, expect, test } from 'vitest';
import type { MbertError } from '../../src/errors.ts';
import { readF32 } from '../../src/ir/tensor.ts';
import type { OpenedModel } from '../../src/opened/opened-model.ts';
import { trimmedModel } from '../../src/opened/trimmed-model.ts';
import { modelOf } from '../pipelines/opened-model.ts';

const TABLE = 'table f32[4, 2] {0, 1, 10, 11, 20, 21, 30, 31}';
const LOOK_UP = `graph g (input_ids: i64[1, 3])
  ids = reshape(input_ids) {shape: [3]}
  x = gather(${TABLE}, ids)
return x: x`;
const SCORES = `graph g (input_ids: i64[1, 3])
  x = gather(${TABLE}, input_ids)
  scores = linear(x, ${TABLE})
return x: x, scores: scores`;
const WITH_PADDING = `graph g (input_ids: i64[1, 3])
  words = gather(${TABLE}, input_ids)
  is_word = compare(input_ids, pad i64[] {2}) 
return words: words, is_word: is_word`;

test('the table has the rows of the kept tokens, in the order of their ids', () => {
  const { build, reference, kept, pad } = trimmedModel(modelOf(LOOK_UP, { pad: 2 }), [1, 2, 3]);
  const table = build('onnx')
    .nodes()
    .find(({ op }) => op === 'constant');
  expect(table?.op === 'constant' && [...readF32(table.tensor)]).toEqual([10, 11, 20, 21, 30, 31]);
  expect([kept, pad]).toEqual([[1, 2, 3], 1]);
  // What a file is compared with is the whole model.
  expect(
    reference()
      .nodes()
      .find(({ op }) => op === 'constant')?.type.shape,
  ).toEqual([4, 2]);
});

test('a token that ids are compared with is compared by its new id', () => {
  const { build, pad } = trimmedModel(modelOf(WITH_PADDING, { pad: 2 }), [0, 2]);
  const constants = build('onnx')
    .nodes()
    .filter((node) => node.op === 'constant');
  expect(constants.map((node) => node.op === 'constant' && [...readF32(node.tensor)])).toEqual([[0, 1, 20, 21], [1]]);
  expect(pad).toBe(1);
});

describe('a model is refused', () => {
  test.each<[string, string, Partial<OpenedModel>, readonly number[], string]>([
    ['that looks for a token that is gone', WITH_PADDING, { pad: 2 }, [0, 1], 'is_word computes with token ids'],
    ['with fewer rows than tokens', LOOK_UP, {}, [0, 4], 'token 4 has no row in table, which has 4'],
    ['with a score for each token', SCORES, {}, [0], 'scores has a number for each of the 4 tokens'],
    [
      'that computes with ids',
      'graph g (input_ids: i64[1, 3])\n  read = cast(input_ids)\n  x = mul(read, read)\nreturn x: x',
      {},
      [0],
      'x computes with token ids',
    ],
  ])('%s', (_, text, more, kept, problem) => {
    try {
      trimmedModel(modelOf(text, more), kept);
      expect.unreachable();
    } catch (cause) {
      const { code, message } = cause as MbertError;
      expect(`${code}: ${message}`).toBe(`UNSUPPORTED: --trim-vocabulary: tiny: ${problem}`);
    }
  });
});
