import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readIntegers } from '../../src/ir/tensor.ts';
import { encodeSample, parseSamples, readSamples } from '../../src/samples/samples.ts';
import { readTokenizer, type Tokenizer } from '../../src/samples/tokenizer.ts';

describe('parseSamples reads', () => {
  test.each<[string, string, unknown]>([
    [
      'columns under a header, numbers as labels',
      "sentence\tlabel\nit 's a charming journey . \t1\nunflinchingly bleak\t0\n",
      [
        { texts: ["it 's a charming journey . "], label: 1 },
        { texts: ['unflinchingly bleak'], label: 0 },
      ],
    ],
    [
      'pairs in any order of columns, words as labels, quotes as they are',
      'index\tlabel\tsentence2\tsentence1\r\n0\tnot_entailment\tshe said "no\ta "b" c\r\n',
      [{ texts: ['a "b" c', 'she said "no'], label: 'not_entailment' }],
    ],
    ['a score as label', 'sentence1\tsentence2\tlabel\na\tb\t3.8', [{ texts: ['a', 'b'], label: 3.8 }]],
    ['columns without labels', 'text\na\nb', [{ texts: ['a'] }, { texts: ['b'] }]],
    [
      'one text a line, without the empty lines',
      '\na film .\n\n  \nbleak\n',
      [{ texts: ['a film .'] }, { texts: ['bleak'] }],
    ],
    [
      'JSON objects',
      '{"text": "a", "label": 1}\n\n{"sentence": "b\\tc", "label": "x"}\n{"question": "q", "context": "c", "label": 0, "id": 7}\n',
      [
        { texts: ['a'], label: 1 },
        { texts: ['b\tc'], label: 'x' },
        { texts: ['q', 'c'], label: 0 },
      ],
    ],
    ['JSON objects without labels', '{"sentence1": "a", "sentence2": "b"}', [{ texts: ['a', 'b'] }]],
  ])('%s', (_, text, samples) => {
    expect(parseSamples(text, 'data')).toEqual(samples);
  });
});

describe('parseSamples refuses', () => {
  test.each<[string, string, string]>([
    ['an empty file', '', 'd: holds no samples'],
    ['empty lines', '\n \n', 'd: holds no samples'],
    ['a header alone', 'sentence\tlabel\n', 'd: holds no samples'],
    ['a header without a text column', 'words\tlabel\na\t1', 'd: line 1: is a header without a text column'],
    ['a column too few', 'sentence\tlabel\na\t1\n\nb\n', 'd: line 4: has 1 columns, the header has 2'],
    ['a column too many', 'sentence\tlabel\na\tb\t1', 'd: line 2: has 3 columns, the header has 2'],
    ['an empty text', 'sentence\tlabel\n \t1', 'd: line 2: sentence is empty'],
    ['an empty label', 'sentence\tlabel\na\t', 'd: line 2: label is empty'],
    ['an object without a text', '{"text": "a"}\n{"words": "b"}', 'd: line 2: has no text'],
    ['a text that is no text', '{"text": 3}', 'd: line 1: text is no text'],
    [
      'a label that is neither number nor text',
      '{"text": "a", "label": [1]}',
      'd: line 1: label is an array, not a number or text',
    ],
    ['a line that is no object', '{"text": "a"}\n["b"]', 'd: line 2: is an array, not an object'],
    ['a missing label', '{"text": "a", "label": 1}\n{"text": "b"}', 'd: line 2: has no label, others have'],
    ['a label too many', '{"text": "a"}\n{"text": "b", "label": 1}', 'd: line 2: has a label, others have none'],
  ])('%s', (_, text, message) => {
    expect(() => parseSamples(text, 'd')).toThrow(expect.objectContaining({ code: 'MALFORMED', message }));
  });

  test('broken JSON, with its line', () => {
    expect(() => parseSamples('{"text": "a"}\n{"text": "b"', 'd')).toThrow(/^d: line 2: is not JSON/);
  });
});

test('readSamples reads a file and names it in errors', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-'));
  try {
    const path = join(folder, 'data.tsv');
    writeFileSync(path, 'sentence\tlabel\nna\u00efve\t1\n');
    expect(readSamples(path)).toEqual([{ texts: ['na\u00efve'], label: 1 }]);
    writeFileSync(path, 'sentence\tlabel\nb\n');
    expect(() => readSamples(path)).toThrow(`${path}: line 2: has 1 columns, the header has 2`);
    writeFileSync(path, Uint8Array.of(0x61, 0xff, 0x0a));
    expect(() => readSamples(path)).toThrow(`${path}: is not UTF-8 text`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('encodeSample', () => {
  const vocab = '[UNK]\n[CLS]\n[SEP]\n[PAD]\na\nb\nc\n';
  const tokenizer = readTokenizer({ vocabulary: { what: 'vocab.txt', bytes: Buffer.from(vocab) } }) as Tokenizer;
  const encode = (options: Parameters<typeof encodeSample>[2], ...texts: [string] | [string, string]) =>
    [...encodeSample({ texts }, tokenizer, options)].map(([name, tensor]) => [
      name,
      tensor.dtype,
      tensor.shape,
      readIntegers(tensor),
    ]);

  test('leaves a sample unpadded without a length', () => {
    expect(encode({ dtype: 'i64' }, 'a b', 'c')).toEqual([
      ['input_ids', 'i64', [1, 6], [1, 4, 5, 2, 6, 2]],
      ['attention_mask', 'i64', [1, 6], [1, 1, 1, 1, 1, 1]],
      ['token_type_ids', 'i64', [1, 6], [0, 0, 0, 0, 1, 1]],
    ]);
    expect(encode({ dtype: 'i32', maxLength: 4 }, 'a b c')[0]).toEqual(['input_ids', 'i32', [1, 4], [1, 4, 5, 2]]);
  });

  test('pads with the [PAD] of the vocabulary and cuts to a length', () => {
    expect(encode({ dtype: 'i32', length: 5 }, 'a')).toEqual([
      ['input_ids', 'i32', [1, 5], [1, 4, 2, 3, 3]],
      ['attention_mask', 'i32', [1, 5], [1, 1, 1, 0, 0]],
      ['token_type_ids', 'i32', [1, 5], [0, 0, 0, 0, 0]],
    ]);
    expect(encode({ dtype: 'i32', length: 5 }, 'a b c a b')[0]).toEqual(['input_ids', 'i32', [1, 5], [1, 4, 5, 6, 2]]);
  });
});
