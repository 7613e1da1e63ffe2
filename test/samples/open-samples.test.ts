import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { storedZip } from '../../src/formats/zip-stored.ts';
import { integerTensor, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { manifestOf, openSamples, type SampleFileOptions } from '../../src/samples/open-samples.ts';
import { findOverlap } from '../../src/samples/overlap.ts';
import { readTokenizer } from '../../src/samples/tokenizer.ts';
import { npyFile } from '../formats/npy-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'mbert-samples-'));
afterAll(() => rmSync(folder, { recursive: true }));

const VOCAB = '[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\n';
const tokenizer = readTokenizer({ vocabulary: { what: 'vocab.txt', bytes: Buffer.from(VOCAB) } });
const OPTIONS: SampleFileOptions = { tokenizer, pad: 0, maxLength: 6, vocabRows: 9, tokenTypes: 2 };

function write(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function npz(arrays: { readonly [name: string]: Tensor }): Uint8Array {
  const entries = Object.entries(arrays).map(([name, tensor]) => ({ name: `${name}.npy`, bytes: npyFile(tensor) }));
  return storedZip(entries, 0);
}

const ids = (values: number[], shape: number[]) => integerTensor('i64', values, shape);

/** ids | types | label, a line a sample. */
function taken(path: string, options: Partial<SampleFileOptions> = {}, start = 0, count = 100): string[] {
  const { samples } = openSamples(path, { ...OPTIONS, ...options }).take(start, count);
  return samples.map(({ row, label }) => [row.inputIds, row.tokenTypeIds, label].map(String).join(' | '));
}

const SQUAD = {
  version: '1.1',
  data: [
    {
      title: 't',
      paragraphs: [
        { context: 'a b', qas: [{ id: '1', question: 'c', answers: [{ text: 'b', answer_start: 2 }] }] },
        {
          context: 'd',
          qas: [
            { id: '2', question: 'e' },
            { id: '3', question: 'a a' },
          ],
        },
      ],
    },
  ],
};

describe('openSamples reads', () => {
  test.each<[string, string | Uint8Array, string[]]>([
    ['lines of text', 'a b\n\nc\n', ['2,4,5,3 | 0,0,0,0 | undefined', '2,6,3 | 0,0,0 | undefined']],
    ['columns with labels', 'sentence\tlabel\na\t1\n', ['2,4,3 | 0,0,0 | 1']],
    ['JSON lines of pairs', '{"question": "a", "context": "b c"}', ['2,4,3,5,6,3 | 0,0,0,1,1,1 | undefined']],
    [
      'questions and contexts of SQuAD',
      JSON.stringify(SQUAD),
      [
        '2,6,3,4,5,3 | 0,0,0,1,1,1 | undefined',
        '2,8,3,7,3 | 0,0,0,1,1 | undefined',
        '2,4,4,3,7,3 | 0,0,0,0,1,1 | undefined',
      ],
    ],
    [
      'SQuAD on many lines',
      JSON.stringify({ data: SQUAD.data.slice(0, 1) }, null, 2),
      [
        '2,6,3,4,5,3 | 0,0,0,1,1,1 | undefined',
        '2,8,3,7,3 | 0,0,0,1,1 | undefined',
        '2,4,4,3,7,3 | 0,0,0,0,1,1 | undefined',
      ],
    ],
    [
      'arrays without a mask',
      npz({ input_ids: ids([2, 4, 3, 0, 2, 5, 5, 3], [2, 4]) }),
      ['2,4,3 | 0,0,0 | undefined', '2,5,5,3 | 0,0,0,0 | undefined'],
    ],
    ['one sample that is a vector', npz({ input_ids: ids([2, 4, 3, 0], [4]) }), ['2,4,3 | 0,0,0 | undefined']],
    [
      'padding that is only in the mask',
      npz({ input_ids: ids([2, 4, 3, 5], [1, 4]), input_mask: ids([1, 1, 1, 0], [1, 4]), label_ids: ids([7], [1]) }),
      ['2,4,3 | 0,0,0 | 7'],
    ],
  ])('%s', (_, content, samples) => {
    expect(taken(write('data', content))).toEqual(samples);
  });

  test('token features of TFRecord and .npz files as their frameworks wrote them', () => {
    const options = { vocabRows: 30522, maxLength: 384 };
    const [plain, packed] = ['squad-3.tfrecord', 'squad-3.tfrecord.zlib'].map((name) =>
      taken(`fixtures/samples/${name}`, options),
    );
    expect(plain?.length).toBe(3);
    expect(plain).toEqual(packed);
    expect(plain?.[0]).toMatch(/^101,2029,5088,.*,102 \| 0,0,0,.*,1,1 \| undefined$/);
    expect(taken('fixtures/samples/deflated.npz', { vocabRows: 10 })).toEqual([
      '2,5,6,3 | 0,0,0,0 | 1',
      '2,7,8,9,4,3 | 0,0,0,1,1,1 | 0',
    ]);
  });
});

test('openSamples tells what it takes, and where columns are named in vain', () => {
  const facts = (name: string, content: string | Uint8Array) => {
    const { taken: told, warnings } = openSamples(write(name, content), {
      ...OPTIONS,
      columns: { text: 'x', label: 'y' },
    });
    return { told, warnings: warnings.map((warning) => warning.replace(/^.*: (?=has no)/, '')) };
  };
  expect(facts('named.csv', 'x,y\na,1\n')).toEqual({ told: 'CSV, text from x, label from y', warnings: [] });
  const unused = ['has no columns: --text and --label say nothing about it'];
  expect(facts('named.txt', 'a b\nc\n')).toEqual({ told: 'lines of text', warnings: unused });
  expect(facts('named.json', JSON.stringify(SQUAD))).toEqual({ told: 'questions of SQuAD', warnings: unused });
  expect(facts('named.npz', npz({ input_ids: ids([2, 4, 3], [1, 3]) }))).toEqual({
    told: 'sequences of token ids',
    warnings: unused,
  });
});

describe('openSamples takes', () => {
  const path = write('letters.txt', 'a\nb\nc\nd\ne\n');

  test('samples in file order, none behind the end', () => {
    expect(openSamples(path, OPTIONS).count).toBe(5);
    expect(taken(path, {}, 1, 2).map((line) => line.slice(0, 5))).toEqual(['2,5,3', '2,6,3']);
    expect(taken(path, {}, 4, 2).length).toBe(1);
    expect(taken(path, {}, 5, 2)).toEqual([]);
  });

  test('all of them in another order with a seed, always the same', () => {
    const shuffled = taken(path, { seed: 3 });
    expect(shuffled).not.toEqual(taken(path));
    expect(shuffled.toSorted()).toEqual(taken(path));
    expect(taken(path, { seed: 3 })).toEqual(shuffled);
    expect([...taken(path, { seed: 3 }, 0, 2), ...taken(path, { seed: 3 }, 2, 3)]).toEqual(shuffled);
  });

  test('long samples cut to the length, the last token kept, and counted', () => {
    const text = write('long.txt', 'a b c d e a b\na\n');
    const tokens = write('long.npz', npz({ input_ids: ids([2, 4, 5, 6, 7, 8, 4, 3], [1, 8]) }));
    for (const [file, of] of [
      [text, 2],
      [tokens, 1],
    ] as const) {
      const { samples, truncated, warnings } = openSamples(file, OPTIONS).take(0, 9);
      expect(samples[0]?.row.inputIds).toEqual([2, 4, 5, 6, 7, 3]);
      expect(truncated).toBe(1);
      expect(warnings).toEqual([`${file}: 1 of ${of} samples are cut to 6 tokens`]);
    }
  });

  test('no answer where the answer was cut off, or its last token made way for [SEP]', () => {
    const spans = (ends: readonly number[], length: number) => {
      const rows = ends.flatMap(() => [2, 4, 5, 6, 7, 8, 4, 3].slice(0, length));
      const starts = ends.map((end) => end - 1);
      const path = write(
        'spans.npz',
        npz({
          input_ids: ids(rows, [ends.length, length]),
          start_positions: ids(starts, [ends.length]),
          end_positions: ids([...ends], [ends.length]),
        }),
      );
      return openSamples(path, OPTIONS)
        .take(0, 9)
        .samples.map(({ span }) => span);
    };
    expect(spans([4, 5, 6], 8)).toEqual([
      [3, 4],
      [0, 0],
      [0, 0],
    ]);
    expect(spans([4, 5], 6)).toEqual([
      [3, 4],
      [4, 5],
    ]);
  });

  test('second texts as first ones where the model knows one type', () => {
    const pairs = write('pairs.jsonl', '{"question": "a", "context": "b"}');
    expect(taken(pairs, { tokenTypes: 1 })).toEqual(['2,4,3,5,3 | 0,0,0,0,0 | undefined']);
  });

  test('a warning for text of which the vocabulary does not know a fifth', () => {
    const warningsOf = (text: string) => openSamples(write('words.txt', text), OPTIONS).take(0, 9).warnings;
    expect(warningsOf('unknown words\na b\n')).toEqual([
      expect.stringMatching(/words\.txt: 25 % of its words are not in the vocabulary/),
    ]);
    // [CLS] and [SEP] are words as well: one of five, then one of four.
    expect(warningsOf('a b unknown')).toEqual([]);
    expect(warningsOf('a unknown')).toEqual([expect.stringContaining(': 25 % of its words')]);
  });

  test('a warning for a vocabulary that is far smaller than the embeddings', () => {
    expect(openSamples(path, { ...OPTIONS, vocabRows: 9 + 127 }).warnings).toEqual([]);
    expect(openSamples(path, { ...OPTIONS, vocabRows: 9 + 128 }).warnings).not.toEqual([]);
    expect(openSamples(path, { ...OPTIONS, vocabRows: 1000 }).warnings).toEqual([
      "vocabulary: has 9 tokens, the model's embeddings 1000 rows",
    ]);
  });
});

describe('openSamples refuses', () => {
  const grid = ids([2, 4, 3, 0], [1, 4]);
  test.each<[string, string | Uint8Array, Partial<SampleFileOptions>, string, string]>([
    ['an empty file', '', {}, 'MALFORMED', 'holds no samples'],
    [
      'text without a vocabulary',
      'a',
      { tokenizer: undefined },
      'USAGE',
      'is text, and the model has no vocabulary to read it with',
    ],
    ['SQuAD without questions', '{"data": [{"paragraphs": []}]}', {}, 'MALFORMED', 'holds no samples'],
    ['SQuAD without paragraphs', '{"data": [{"title": "t"}]}', {}, 'MALFORMED', 'data[0]: has no list paragraphs'],
    [
      'an empty question',
      '{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": " "}]}]}]}',
      {},
      'MALFORMED',
      'data[0].paragraphs[0].qas[0]: question is no text',
    ],
    ['arrays of other names', npz({ x: grid, mask: grid }), {}, 'MALFORMED', 'has no input_ids; it has x and mask'],
    [
      'arrays of floats',
      npz({ input_ids: tensorOf('f32', [1, 2], Float32Array.of(1, 2)) }),
      {},
      'MALFORMED',
      'input_ids: is f32, not integers',
    ],
    [
      'a mask of another shape',
      npz({ input_ids: grid, attention_mask: ids([1, 1], [1, 2]) }),
      {},
      'MALFORMED',
      'attention_mask or input_mask: is [1, 2], input_ids is [1, 4]',
    ],
    ['arrays of three axes', npz({ input_ids: ids([2, 3], [1, 1, 2]) }), {}, 'MALFORMED', 'input_ids: is [1, 1, 2]'],
    ['arrays without samples', npz({ input_ids: ids([], [0, 4]) }), {}, 'MALFORMED', 'holds no samples'],
    ['a sample of padding', npz({ input_ids: ids([2, 3, 0, 0], [2, 2]) }), {}, 'MALFORMED', 'sample 2: is all padding'],
    [
      'a sample that is masked',
      npz({ input_ids: grid, attention_mask: ids([0, 0, 0, 0], [1, 4]) }),
      {},
      'MALFORMED',
      'sample 1: is all padding',
    ],
    [
      'padding in front',
      npz({ input_ids: grid, attention_mask: ids([0, 1, 1, 1], [1, 4]) }),
      {},
      'MALFORMED',
      'sample 1: has padding before its last token',
    ],
    [
      'ids outside the model',
      npz({ input_ids: ids([2, 9, 3], [1, 3]) }),
      {},
      'MISMATCH',
      "sample 1: token 9 is none of the model's 9",
    ],
    [
      'token types outside the model',
      npz({ input_ids: grid, segment_ids: ids([0, 2, 2, 0], [1, 4]) }),
      {},
      'MISMATCH',
      "sample 1: token type 2 is none of the model's 2",
    ],
  ])('%s', (_, content, options, code, problem) => {
    const path = write('bad', content);
    expect(() => taken(path, options)).toThrow(expect.objectContaining({ code, message: `${path}: ${problem}` }));
  });

  test('a vocabulary of another model', () => {
    expect(() => openSamples(write('a.txt', 'a'), { ...OPTIONS, vocabRows: 8 })).toThrow(
      expect.objectContaining({ code: 'MISMATCH', message: "vocabulary: has 9 tokens, the model's embeddings 8 rows" }),
    );
  });

  test('TFRecords without ids', () => {
    const bytes = readFileSync('fixtures/samples/squad-3.tfrecord');
    const at = bytes.indexOf('input_ids');
    bytes.write('other_ids', at);
    expect(() => taken(write('bad.tfrecord', bytes), { vocabRows: 30522 })).toThrow(
      /record 1 does not match its checksum/,
    );
  });
});

test('manifestOf names the file without its folder and the bytes by their hash', () => {
  const path = write('letters.txt', 'a\nb\n');
  expect(manifestOf(openSamples(path, OPTIONS), 1, undefined)).toEqual({
    source: 'letters.txt',
    sha256: '911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2',
    count: 1,
    seed: null,
  });
});

describe('findOverlap', () => {
  const samplesOf = (content: string | Uint8Array) =>
    openSamples(write('overlap', content), OPTIONS).take(0, 100).samples;
  const calibration = samplesOf('a b\nc d\n');

  test.each<[string, string | Uint8Array, unknown]>([
    ['nothing where texts differ', 'a\nb\nd c\n', null],
    ['a text with other spaces and case', 'e\n C  D \ne e\na b\n', { count: 2, first: 1 }],
    ['nothing where only one side of a pair is the same', '{"question": "a b", "context": "c d"}', null],
    ['tokens of a text', npz({ input_ids: ids([2, 4, 5, 3], [1, 4]) }), { count: 1, first: 0 }],
    ['one text of several columns', 'sentence\tlabel\nc d\t0\n', { count: 1, first: 0 }],
  ])('finds %s', (_, content, overlap) => {
    expect(findOverlap(calibration, samplesOf(content))).toEqual(overlap);
  });

  test.each([
    ['case', 'A Bold Claim', 'a bold claim', true],
    ['spaces', ' a bold\tclaim ', 'a bold  claim', true],
    ['forms of one character', 'ﬁne cafe\u0301', 'fine caf\u00e9', true],
    ['accents', 'cafe', 'caf\u00e9', false],
    ['punctuation', 'a bold claim.', 'a bold claim', false],
  ])('texts that differ in %s, however they were cut into tokens', (_, known, text, isSame) => {
    const sampleOf = (id: number, words: string) => ({
      row: { inputIds: [id], tokenTypeIds: [0] },
      label: undefined,
      texts: [words] as const,
    });
    const overlap = findOverlap([sampleOf(1, known)], [sampleOf(2, text)]);
    expect(overlap).toEqual(isSame ? { count: 1, first: 0 } : null);
  });
});

test('an object with data that is no SQuAD is told how other samples are written', () => {
  const path = write('bad', '{"data": [{"text": "a"}]}');
  expect(() => taken(path, {})).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/read as SQuAD; other/) }),
  );
});
