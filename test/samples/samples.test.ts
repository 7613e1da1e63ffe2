import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readIntegers } from '../../src/ir/tensor.ts';
import type { ColumnNames } from '../../src/samples/columns.ts';
import { encodeSample, parseSamples, readSamples, readSampleTable } from '../../src/samples/samples.ts';
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
    [
      'CSV as spreadsheets and pandas write it',
      'id,Text,Label\r\n1,"a, ""b""\nc",1\r\n\r\n2,d,0\r\n',
      [
        { texts: ['a, "b"\nc'], label: 1 },
        { texts: ['d'], label: 0 },
      ],
    ],
    ['CSV with semicolons', 'sentiment;review\npos;a, b\n', [{ texts: ['a, b'], label: 'pos' }]],
    [
      'objects in an array',
      '[\n  {"text": "a", "label": true},\n  {"text": "b", "label": false}\n]',
      [
        { texts: ['a'], label: 1 },
        { texts: ['b'], label: 0 },
      ],
    ],
    ['texts in an array', '["a\\nb", "c"]', [{ texts: ['a\nb'] }, { texts: ['c'] }]],
    [
      'lines with commas',
      'one film, one hour\na, b\nc, d\ne, f\n',
      [{ texts: ['one film, one hour'] }, { texts: ['a, b'] }, { texts: ['c, d'] }, { texts: ['e, f'] }],
    ],
    [
      'lines of which the first is the name of a column elsewhere',
      'review\na\n',
      [{ texts: ['review'] }, { texts: ['a'] }],
    ],
  ])('%s', (_, text, samples) => {
    expect(parseSamples(text, 'data')).toEqual(samples);
  });
});

describe('parseSamples reads the columns that are asked for', () => {
  test.each<[string, string, ColumnNames, unknown]>([
    ['of TSV', 'x\ty\tlabel\na\tb\t1', { text: 'y' }, [{ texts: ['b'], label: 1 }]],
    [
      'of CSV, before those that are known',
      'text,body,label,stars\na,b,1,5',
      { text: 'body', label: 'stars' },
      [{ texts: ['b'], label: 5 }],
    ],
    ['as a pair', 'p,q\na,b', { text: 'q', pair: 'p' }, [{ texts: ['b', 'a'] }]],
    ['of one column', 'phrase\na\nb', { text: 'phrase' }, [{ texts: ['a'] }, { texts: ['b'] }]],
    ['of JSON lines', '{"x": "a", "y": 2}', { text: 'x', label: 'y' }, [{ texts: ['a'], label: 2 }]],
    ['of a JSON array', '[{"x": "a", "text": "b"}]', { text: 'x' }, [{ texts: ['a'] }]],
  ])('%s', (_, text, columns, samples) => {
    expect(parseSamples(text, 'data', columns)).toEqual(samples);
  });

  test('and refuses names that the file does not have', () => {
    const refusal = (column: string, hint: string) =>
      expect.objectContaining({ code: 'MISMATCH', message: `d.csv: has no column ${column}`, hint });
    expect(() => parseSamples('text,label\na,1', 'd.csv', { text: 'body' })).toThrow(
      refusal('body', 'it has text and label'),
    );
    expect(() => parseSamples('text\ta\nb\tc', 'd.csv', { label: 'stars' })).toThrow(
      refusal('stars', 'it has text and a'),
    );
  });
});

test('what was taken for what is told', () => {
  const told = (text: string) => {
    const { form, columns } = readSampleTable(text, 'd', {});
    return [form, columns];
  };
  expect(told('a\nb')).toEqual(['lines', undefined]);
  expect(told('Sentence\tlabel\na\t1')).toEqual(['TSV', { texts: ['Sentence'], label: 'label' }]);
  expect(told('question,context\na,b')).toEqual(['CSV', { texts: ['question', 'context'], label: undefined }]);
  expect(told('{"text": "a"}')).toEqual(['JSON lines', { texts: ['text'], label: undefined }]);
  expect(told('[{"text": "a"}]')).toEqual(['JSON', { texts: ['text'], label: undefined }]);
});

describe('parseSamples refuses', () => {
  test.each<[string, string, string]>([
    ['an empty file', '', 'd: holds no samples'],
    ['empty lines', '\n \n', 'd: holds no samples'],
    ['a header alone', 'sentence\tlabel\n', 'd: holds no samples'],
    [
      'a header without a text column',
      'words\tlabel\na\t1',
      'd: line 1: is a header without a text column: words and label',
    ],
    ['a column too few', 'sentence\tlabel\na\t1\n\nb\n', 'd: line 4: has 1 columns, the header has 2'],
    ['a column too many', 'sentence\tlabel\na\tb\t1', 'd: line 2: has 3 columns, the header has 2'],
    ['an empty text', 'sentence\tlabel\n \t1', 'd: line 2: sentence is empty'],
    ['an empty label', 'sentence\tlabel\na\t', 'd: line 2: label is empty'],
    ['an object without a text', '{"text": "a"}\n{"words": "b"}', 'd: line 2: has no text: it has words'],
    ['an object without anything', '{}', 'd: line 1: has no text: it has nothing'],
    ['a text that is no text', '{"text": 3}', 'd: line 1: text is no text'],
    [
      'a label that is neither number nor text',
      '{"text": "a", "label": [1]}',
      'd: line 1: label is an array, not a number or text',
    ],
    ['a line that is no object', '{"text": "a"}\n["b"]', 'd: line 2: is an array, not an object'],
    ['a missing label', '{"text": "a", "label": 1}\n{"text": "b"}', 'd: line 2: has no label, others have'],
    ['a label too many', '{"text": "a"}\n{"text": "b", "label": 1}', 'd: line 2: has a label, others have none'],
    [
      'separated values whose columns nobody knows, as lines would hold the header',
      'id,body,stars\n1,a,5\n2,b,4\n3,c,1\n',
      'd: line 1: is a header without a text column: id, body and stars',
    ],
    ['a text that stands in two columns', 'text,text\na,b', 'd: has two columns text'],
    ['a row of CSV that is short', 'text,label\n"a\nb",1\nc\n', 'd: line 4: has 1 columns, the header has 2'],
    ['an element that is no object', '[{"text": "a"}, 3]', 'd: element 2: is 3, not an object'],
    ['an element that is no text', '["a", {"text": "b"}]', 'd: element 2: text is no text'],
    ['an empty label in CSV', 'text,class\na,', 'd: line 2: class is empty'],
  ])('%s', (_, text, message) => {
    expect(() => parseSamples(text, 'd')).toThrow(expect.objectContaining({ code: 'MALFORMED', message }));
  });

  test('broken JSON, with its line', () => {
    expect(() => parseSamples('{"text": "a"}\n{"text": "b"', 'd')).toThrow(/^d: line 2: is not JSON/);
  });
});

test('a file named .csv is none of lines', () => {
  expect(() => parseSamples('a film\nbleak\n', 'd.csv')).toThrow(
    expect.objectContaining({ message: 'd.csv: line 1: is a header without a text column: a film' }),
  );
  expect(parseSamples('text\n"a, b"\n', 'd.csv')).toEqual([{ texts: ['a, b'] }]);
  expect(() => parseSamples('text\na, b\n', 'd.csv')).toThrow('d.csv: line 2: has 2 columns, the header has 1');
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
