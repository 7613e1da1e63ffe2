import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { openTokenizer } from '../../../src/opened/open-tokenizer.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import type { FolderOptions } from '../../../src/pipelines/folder/types.ts';
import { writeFolder } from '../../../src/pipelines/folder/write-folder.ts';
import { runtimeFor } from '../../../src/runtimes/index.ts';
import { encodeSample } from '../../../src/samples/samples.ts';
import { runCommand } from '../../commands/run.ts';
import { fixture } from '../../models/corpus.ts';
import { unpacked } from '../../unpacked.ts';
import { temporaryFolder } from '../written.ts';
import { ENCODER, filesIn, folderWith } from './folders.ts';

const folder = temporaryFolder();

const words = readFileSync(join(ENCODER, 'vocab.txt'), 'utf8')
  .split('\n')
  .filter((word) => /^[a-z]{3,}$/.test(word));
const LINES = [`${words[3]} ${words[40]}, ${words[9]}!`, `${words[9]}s unheard-of 42`, `${words[77]}`];
folderWith(folder, { 'texts.txt': LINES.join('\n') });
const TEXTS = join(folder, 'texts.txt');

/** What a model in a folder answers to a text that is cut by the tokenizer of that folder. */
async function answer(model: string, tokenizerFolder: string, text: string): Promise<Float32Array> {
  const tokenizer = openTokenizer(tokenizerFolder);
  if (tokenizer === undefined) throw new Error(`${tokenizerFolder}: has no tokenizer`);
  const session = await runtimeFor(model).load(model, { threads: 1 });
  const all = encodeSample({ texts: [text] }, tokenizer, { dtype: 'i64' });
  const feeds = new Map(session.inputs.map(({ name }) => [name, all.get(name) as Tensor]));
  const outputs = await session.run(feeds);
  await session.close();
  return readF32(outputs.values().next().value as Tensor);
}

test('a model with the tokens of some texts answers them as the whole model does', async () => {
  const output = join(folder, 'fewer');
  await convert({ source: ENCODER, output: join(folder, 'whole.onnx') });
  const { vocabulary, results } = await writeFolder({
    source: ENCODER,
    output,
    layout: 'transformers.js',
    forms: ['f32', 'dynamic'],
    trimVocabulary: TEXTS,
  });
  expect(vocabulary?.before).toBe(600);
  expect(vocabulary?.tokens).toBeLessThan(200);
  expect(results[0]?.measured?.sqnrDb).toBeGreaterThan(100);
  expect(results.flatMap(({ failures }) => failures)).toEqual([]);
  for (const text of LINES) {
    const whole = await answer(join(folder, 'whole.onnx'), ENCODER, text);
    const fewer = await answer(join(output, 'onnx/model.onnx'), output, text);
    expect(fewer.length).toBe(whole.length);
    const error = fewer.reduce((most, value, i) => Math.max(most, Math.abs(value - (whole[i] as number))), 0);
    expect(error, text).toBeLessThan(1e-6);
  }
  const config = JSON.parse(readFileSync(join(output, 'config.json'), 'utf8'));
  expect(config).toMatchObject({ vocab_size: vocabulary?.tokens, pad_token_id: 0, hidden_size: 24 });
  const lines = readFileSync(join(output, 'vocab.txt'), 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(vocabulary?.tokens ?? 0);
});

/** A model that finds padding by its id, with a tokenizer of letters in two scripts. */
function multilingual(): string {
  const source = join(folder, 'multilingual');
  cpSync(unpacked(fixture('family-xlmr-seqcls')), source, { recursive: true });
  const special = ['<s>', '<pad>', '</s>', '<unk>'];
  const pieces = ['▁', ...'абвгдежзабвabcdefghijklmnopqrstuvwxyz0123456789:,', '▁text', 'ма', 'er'];
  const vocab = [...special.map((token) => [token, 0]), ...[...new Set(pieces)].map((token, i) => [token, -1 - i])];
  const around = (...names: string[]) =>
    names.map((id) => (id.length === 1 ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } }));
  const ids = (id: string) => ({ id, ids: [special.indexOf(id)], tokens: [id] });
  const tokenizer = {
    added_tokens: special.map((content, id) => ({ id, content, special: true })),
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    post_processor: {
      type: 'TemplateProcessing',
      single: around('<s>', 'A', '</s>'),
      pair: around('<s>', 'A', '</s>', '</s>', 'B', '</s>'),
      special_tokens: { '<s>': ids('<s>'), '</s>': ids('</s>') },
    },
    model: { type: 'Unigram', unk_id: 3, vocab },
  };
  return folderWith(source, {
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': '{"tokenizer_class": "XLMRobertaTokenizer"}',
  });
}

test('a model that finds padding by its id keeps that id', async () => {
  const source = multilingual();
  const output = join(folder, 'latin');
  const { results, vocabulary } = await writeFolder({ source, output, forms: ['f32'], trimVocabulary: 'Latin' });
  expect(filesIn(output)).toEqual([
    'mbert.json',
    'model.onnx',
    'model.tflite',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  expect(results.map(({ failures }) => failures)).toEqual([[], []]);
  expect(vocabulary?.tokens).toBeLessThan(vocabulary?.before ?? 0);
  await convert({ source, output: join(folder, 'all.onnx') });
  for (const text of ['a small text', 'numbers: 12, 7']) {
    expect(await answer(join(output, 'model.onnx'), output, text)).toEqual(
      await answer(join(folder, 'all.onnx'), source, text),
    );
  }
});

describe('what cannot be trimmed is refused', () => {
  test.each<[string, Partial<FolderOptions>, string]>([
    ['a head with a score for each token', { source: fixture('bert-mlm') }, 'UNSUPPORTED'],
    ['no file and no script', { trimVocabulary: 'Klingon' }, 'USAGE'],
    ['a model without a vocabulary', { source: fixture('family-bert-relkey') }, 'NOT_FOUND'],
    ["the source's own folder", { output: ENCODER }, 'USAGE'],
  ])('%s', async (_, options, code) => {
    const output = join(folder, 'refused');
    const refusal = writeFolder({ source: ENCODER, output, trimVocabulary: TEXTS, ...options });
    await expect(refusal).rejects.toMatchObject({ code, message: expect.stringMatching(/^--trim-vocabulary: /) });
    expect(() => filesIn(output)).toThrow('ENOENT');
  });

  test('a single file, as the tokenizer changes as well', async () => {
    const { code, err } = await runCommand(
      folder,
      'convert',
      ENCODER,
      '-o',
      join(folder, 'm.onnx'),
      '--trim-vocabulary',
      'Latin',
    );
    expect({ code, err }).toEqual({
      code: 2,
      err: '--trim-vocabulary: one file cannot carry the tokenizer, which changes as well\nhint: write a folder with --layout or --forms\n',
    });
  });
});

test('texts are read from the column that is named', async () => {
  const file = join(folder, 'columns.csv');
  const words = readFileSync(join(ENCODER, 'vocab.txt'), 'utf8')
    .split('\n')
    .filter((word) => /^[a-z]{3,}$/.test(word));
  const [first = '', second = ''] = words;
  writeFileSync(file, `text,body\n${`${first},${second}\n`.repeat(3)}`);
  const kept = async (name: string, text?: string) => {
    const output = join(folder, name);
    await writeFolder({
      source: ENCODER,
      output,
      layout: 'transformers.js',
      forms: ['f32'],
      trimVocabulary: file,
      text,
    });
    return readFileSync(join(output, 'vocab.txt'), 'utf8').split('\n');
  };
  expect(await kept('by-default')).toContain(first);
  const named = await kept('by-name', 'body');
  expect([named.includes(first), named.includes(second)]).toEqual([false, true]);
});
