import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { storedZip } from '../../src/formats/zip-stored.ts';
import { openSource } from '../../src/importers/index.ts';
import { tokenizerFilesAt } from '../../src/importers/tokenizer-files.ts';
import { tensorOf } from '../../src/ir/tensor.ts';
import { openModel } from '../../src/opened/open-model.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { rowReader } from '../../src/pipelines/evaluate/row-reader.ts';
import { takeSamples } from '../../src/pipelines/evaluate/sample-sets.ts';
import { npyFile } from '../formats/npy-file.ts';
import { bpeJson, type Content, filled, modelWith, vocabTxt, WORDS, wordPieceJson } from '../tokenizer-files.ts';
import { temporaryFolder } from './written.ts';

const root = temporaryFolder();
let made = 0;

/** A new path in the temporary folder. */
const fresh = (name = '') => join(root, `${made++}${name}`);

type Files = { readonly [name: string]: Content };

const checkpoint = (files: Files) => modelWith(fresh(), 'fixtures/mini-qa', files);
const onnxModel = (files: Files) => join(modelWith(fresh(), 'fixtures/mini-onnx-qa', files), 'model.onnx');
const tfliteModel = (files: Files) => join(modelWith(fresh(), 'fixtures/mini-tflite-qa', files), 'model.tflite');

function textFile(...lines: readonly string[]): string {
  const path = fresh('.txt');
  writeFileSync(path, lines.join('\n'));
  return path;
}

/** The token ids that a model reads a text as. */
async function idsOf(source: string, text: string): Promise<readonly number[] | undefined> {
  const model = await openModel(source);
  try {
    return rowReader(model, model.reference(), { maxLength: 64 }).read(textFile(text)).rows[0]?.inputIds;
  } finally {
    model.close();
  }
}

const CASED = [2, 6, 5, 3];
const UNCASED = [2, 5, 5, 3];

describe('a text keeps its case', () => {
  test.each<[string, string, Files]>([
    [
      'a checkpoint by its tokenizer_config.json',
      'checkpoint',
      { 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { do_lower_case: false } },
    ],
    ['a checkpoint by its tokenizer.json', 'checkpoint', { 'tokenizer.json': wordPieceJson(false) }],
    [
      'an ONNX file by the tokenizer_config.json beside it',
      'onnx',
      { 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { do_lower_case: false } },
    ],
    ['an ONNX file by the tokenizer.json beside it', 'onnx', { 'tokenizer.json': wordPieceJson(false) }],
    ['a TFLite file by the tokenizer.json beside it', 'tflite', { 'tokenizer.json': wordPieceJson(false) }],
    [
      'a vocabulary of both cases with nothing beside it',
      'onnx',
      { 'vocab.txt': vocabTxt(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'hello', 'Hello']) },
    ],
  ])('of %s', async (_, kind, files) => {
    const source = kind === 'onnx' ? onnxModel(files) : kind === 'tflite' ? tfliteModel(files) : checkpoint(files);
    expect(await idsOf(source, 'Hello hello')).toEqual(CASED);
  });

  test('of an ONNX file in the folder that the hub keeps graphs in', async () => {
    const folder = modelWith(fresh(), 'fixtures/mini-qa', { 'tokenizer.json': wordPieceJson(false) });
    mkdirSync(join(folder, 'onnx'));
    cpSync('fixtures/mini-onnx-qa/model.onnx', join(folder, 'onnx/model.onnx'));
    expect(await idsOf(join(folder, 'onnx/model.onnx'), 'Hello hello')).toEqual(CASED);
  });

  test('from a checkpoint to TFLite and ONNX, which say so themselves', async () => {
    const vocabulary = { 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { do_lower_case: false } };
    const output = fresh();
    await convert({ source: checkpoint(vocabulary), output });
    expect(await idsOf(join(output, 'model.tflite'), 'Hello hello')).toEqual(CASED);
    writeFileSync(join(output, 'vocab.txt'), vocabTxt());
    expect(await idsOf(join(output, 'model.onnx'), 'Hello hello')).toEqual(CASED);
  });
});

test('what tokenizer_config.json says of the case goes before what tokenizer.json does', async () => {
  const config = (lower: boolean) => ({ tokenizer_class: 'BertTokenizer', do_lower_case: lower });
  const files = (json: boolean, said: boolean) => ({
    'tokenizer.json': wordPieceJson(json),
    'tokenizer_config.json': config(said),
  });
  expect(await idsOf(checkpoint(files(true, false)), 'Hello hello')).toEqual(CASED);
  expect(await idsOf(checkpoint(files(false, true)), 'Hello hello')).toEqual(UNCASED);
});

/** The lines of the vocabulary in a TFLite file. */
async function vocabularyIn(path: string): Promise<readonly string[] | undefined> {
  const source = await openSource(path);
  if (source.yields !== 'graph') throw new Error(`${path} is no graph`);
  source.close();
  const { vocabulary } = source.tokenizer;
  return vocabulary && Buffer.from(vocabulary.bytes).toString().trimEnd().split('\n');
}

async function toTflite(source: string, vocab?: string) {
  const output = fresh('.tflite');
  const { warnings } = await convert({ source, output, vocab });
  return { warnings, vocabulary: await vocabularyIn(output) };
}

describe('a TFLite file', () => {
  test('carries the vocabulary of a tokenizer.json', async () => {
    const lower = WORDS.map((word) => word.replace('Hello', 'there'));
    const { warnings, vocabulary } = await toTflite(checkpoint({ 'tokenizer.json': wordPieceJson(true, lower) }));
    expect(warnings).toEqual([]);
    expect(vocabulary).toEqual(lower);
  });

  test('carries a vocab.txt as it is, also where a tokenizer.json is read', async () => {
    const files = { 'tokenizer.json': wordPieceJson(true), 'vocab.txt': vocabTxt(['[PAD]', 'as', 'it', 'is']) };
    expect((await toTflite(checkpoint(files))).vocabulary).toEqual(['[PAD]', 'as', 'it', 'is']);
  });

  test.each<[string, Files, RegExp]>([
    [
      'is cased',
      { 'tokenizer.json': wordPieceJson(false) },
      /tokenizer\.json: is cased, and MediaPipe and Task Library lower-case/,
    ],
    [
      'is byte-level BPE',
      { 'tokenizer.json': bpeJson() },
      /tokenizer\.json: is BPE, not WordPiece: .* no vocabulary in the file$/,
    ],
    [
      'is damaged',
      { 'tokenizer.json': '{"model": 3}' },
      /tokenizer\.json: model: is 3, not an object: .* no vocabulary in the file$/,
    ],
    [
      'names its special tokens otherwise',
      {
        'vocab.txt': vocabTxt(filled(['<pad>', '[UNK]', '<s>', '</s>', 'hello'])),
        'tokenizer_config.json': { pad_token: '<pad>', cls_token: '<s>', sep_token: '</s>' },
      },
      /vocab\.txt: has no \[CLS\], \[SEP\], which MediaPipe/,
    ],
    [
      'is of a class that splits words itself',
      { 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { tokenizer_class: 'BertJapaneseTokenizer' } },
      /tokenizer_config\.json: tokenizer_class: "BertJapaneseTokenizer" splits texts by code of its own.* no vocabulary in the file$/,
    ],
    [
      'has more tokens than the table has rows',
      {
        'vocab.txt': vocabTxt(
          filled(WORDS, 121).map((word) => word.toLowerCase().replace(/^\[.*\]$/, (token) => token.toUpperCase())),
        ),
      },
      /vocab\.txt: has 121 tokens, the model's embeddings 120 rows/,
    ],
  ])('comes with a warning where the tokenizer %s', async (_, files, warning) => {
    const { warnings } = await toTflite(checkpoint(files));
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });

  test('has no vocabulary of another kind of tokenizer', async () => {
    const japanese = { 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { tokenizer_class: 'BertJapaneseTokenizer' } };
    expect((await toTflite(checkpoint(japanese))).vocabulary).toBeUndefined();
    expect((await toTflite(checkpoint({ 'tokenizer.json': bpeJson() }))).vocabulary).toBeUndefined();
  });
});

test('an ONNX file has no readers to warn of', async () => {
  const { warnings } = await convert({ source: checkpoint({ 'tokenizer.json': bpeJson() }), output: fresh('.onnx') });
  expect(warnings).toEqual([]);
});

describe('--vocab', () => {
  const given = (content: Content) => {
    const path = fresh('.words');
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const bare = checkpoint({});
  const lower = WORDS.map((word) => word.replace('Hello', 'there'));

  test('takes a tokenizer.json of any name', async () => {
    const { warnings, vocabulary } = await toTflite(bare, given(wordPieceJson(true, lower)));
    expect(warnings).toEqual([]);
    expect(vocabulary).toEqual(lower);
  });

  test.each<[string, Content, string, RegExp]>([
    ['some lines that are no vocabulary', 'one\ntwo\nthree\n', 'MALFORMED', /has no \[PAD\]/],
    ['a JSON that is no tokenizer', { hello: 5 }, 'MALFORMED', /is no tokenizer\.json: it has no model/],
    [
      'more tokens than rows',
      vocabTxt(filled(lower, 121)),
      'MISMATCH',
      /has 121 tokens, the model's embeddings 120 rows/,
    ],
  ])('refuses %s', async (_, content, code, message) => {
    for (const format of ['tflite', 'onnx']) {
      const converted = convert({ source: bare, output: fresh(`.${format}`), vocab: given(content) });
      await expect(converted).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    }
  });

  test('warns of a vocabulary that is much shorter than the table', async () => {
    const source = 'fixtures/bert-seqcls';
    const vocab = given(vocabTxt(lower));
    const { warnings } = await toTflite(source, vocab);
    expect(warnings).toEqual([
      expect.stringMatching(/has 120 tokens, the model's embeddings 1000 rows: is it the model's own\?/),
      expect.stringMatching(/gives logits: MediaPipe shows them as scores/),
    ]);
    const onnx = await convert({ source, output: fresh('.onnx'), vocab });
    expect(onnx.warnings).toEqual(warnings.slice(0, 1));
  });

  test('of an ONNX file is not measured by what readers of TFLite files look for', async () => {
    for (const words of [bpeJson(), wordPieceJson(false)]) {
      const { warnings } = await convert({ source: bare, output: fresh('.onnx'), vocab: given(words) });
      expect(warnings).toEqual([]);
    }
  });

  test('reads texts with the settings in its own folder, else with the model’s', async () => {
    const model = await openModel(checkpoint({ 'tokenizer_config.json': { do_lower_case: true } }));
    const folder = checkpoint({ 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { do_lower_case: false } });
    const read = (path: string) => {
      const reader = rowReader(model, model.reference(), { maxLength: 64, tokenizer: tokenizerFilesAt(path) });
      return reader.read(textFile('Hello hello')).rows[0]?.inputIds;
    };
    expect(read(join(folder, 'vocab.txt'))).toEqual(CASED);
    expect(read(given(vocabTxt()))).toEqual(UNCASED);
    model.close();
  });
});

describe('texts', () => {
  test('are read with byte-level BPE, padded with its own id', async () => {
    const model = await openModel(checkpoint({ 'tokenizer.json': bpeJson() }));
    const reader = rowReader(model, model.reference(), { maxLength: 64 });
    expect(reader.tokenizer).toEqual({ pad: 1, mask: 4 });
    expect(reader.read(textFile('sentence1\tsentence2', 'ab c\tc')).rows).toEqual([
      { inputIds: [0, 9, 10, 2, 2, 7, 2], tokenTypeIds: [0, 0, 0, 0, 0, 0, 0] },
    ]);
    model.close();
  });

  test('are refused by the class of a tokenizer that splits words itself, token ids are not', async () => {
    const model = await openModel(
      checkpoint({ 'vocab.txt': vocabTxt(), 'tokenizer_config.json': { tokenizer_class: 'BertJapaneseTokenizer' } }),
    );
    const reader = rowReader(model, model.reference(), { maxLength: 64 });
    expect(() => reader.open(textFile('hello'))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringContaining('"BertJapaneseTokenizer"') }),
    );
    const tokens = fresh('.npz');
    const ids = npyFile(tensorOf('i32', [1, 3], Int32Array.of(2, 5, 3)));
    writeFileSync(tokens, storedZip([{ name: 'input_ids.npy', bytes: ids }], 0));
    expect(reader.read(tokens).rows).toEqual([{ inputIds: [2, 5, 3], tokenTypeIds: [0, 0, 0] }]);
    model.close();
  });

  test.each([
    ['model_max_length', 'tokenizer_config.json', 3],
    ['max_seq_length', 'sentence_bert_config.json', 3],
  ])('are cut to the %s of %s', async (key, name, length) => {
    const model = await openModel(checkpoint({ 'tokenizer.json': wordPieceJson(true), [name]: { [key]: length } }));
    const file = rowReader(model, model.reference(), { maxLength: 64 }).open(textFile('hello world'));
    const { samples, warnings } = file.take(0, 1);
    expect(samples[0]?.row.inputIds).toEqual([2, 5, 3]);
    expect(warnings).toEqual([expect.stringMatching(/1 of 1 samples are cut to 3 tokens/)]);
    model.close();
  });
});

describe('token types that calibration has not seen', () => {
  const pairs = textFile('question\tcontext', ...Array.from({ length: 40 }, () => 'hello\tworld'));
  const singles = textFile(...Array.from({ length: 40 }, (_, i) => `hello world ${'hello '.repeat(i)}`));

  async function warningsOf(fixture: string, calibrate: string, data?: string): Promise<readonly string[]> {
    const model = await openModel(modelWith(fresh(), fixture, { 'vocab.txt': vocabTxt() }));
    const reader = rowReader(model, model.reference(), { maxLength: 64 });
    model.close();
    const evidence = { calibrate, data, samples: 20, seed: undefined, maxDrop: undefined, allowOverlap: true };
    const { warnings } = takeSamples(reader, { evidence, task: model.task, classOf: undefined });
    return warnings.filter((warning) => warning.includes('token type 1'));
  }

  test('are warned of where the task reads pairs', async () => {
    expect(await warningsOf('fixtures/mini-qa', singles)).toEqual([
      `${singles}: holds single texts, and a model for qa reads pairs: nothing of token type 1 is calibrated`,
    ]);
    expect(await warningsOf('fixtures/mini-qa', pairs)).toEqual([]);
  });

  test('are warned of where the proof has pairs', async () => {
    expect(await warningsOf('fixtures/bert-seqcls', singles)).toEqual([]);
    expect(await warningsOf('fixtures/bert-seqcls', singles, pairs)).toEqual([
      `${singles}: holds single texts, and the proof has pairs: nothing of token type 1 is calibrated`,
    ]);
  });

  test('are none where the model has no token types', async () => {
    expect(await warningsOf('fixtures/distilbert-qa', singles)).toEqual([]);
  });
});
