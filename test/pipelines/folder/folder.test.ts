import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, test } from 'vitest';
import type { MbertError } from '../../../src/errors.ts';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import type { FolderOptions, FolderResult } from '../../../src/pipelines/folder/types.ts';
import { writeFolder } from '../../../src/pipelines/folder/write-folder.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { runtimeFor } from '../../../src/runtimes/index.ts';
import { runCommand } from '../../commands/run.ts';
import { changedCheckpoint } from '../../diff/checkpoints.ts';
import { problemsOf, type Schema } from '../../diff/json-schema.ts';
import { fixture } from '../../models/corpus.ts';
import { unpacked } from '../../unpacked.ts';
import { temporaryFolder } from '../written.ts';
import { ENCODER, embedderIn, filesIn, folderWith } from './folders.ts';

const folder = temporaryFolder();

const words = readFileSync(join(ENCODER, 'vocab.txt'), 'utf8')
  .split('\n')
  .filter((word) => /^[a-z]{3,}$/.test(word));
const TEXTS = join(
  folderWith(folder, {
    'texts.txt': Array.from({ length: 96 }, (_, i) =>
      Array.from({ length: 4 + (i % 5) }, (_, k) => words[(7 * i + 13 * k * k) % words.length]).join(' '),
    ).join('\n'),
  }),
  'texts.txt',
);

interface Manifest {
  readonly forms: readonly {
    readonly form: string;
    readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
    readonly measured?: { readonly sqnrDb: number; readonly correlation?: number };
    readonly calibration?: { readonly count: number };
  }[];
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

function manifestOf(path: string): Manifest {
  return JSON.parse(readFileSync(join(path, 'mbert.json'), 'utf8')) as Manifest;
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('a folder for transformers.js', () => {
  const output = join(folder, 'web');
  let started: Promise<FolderResult> | undefined;
  /** Written by the first test that asks for it. */
  const written = () => {
    const forms = ['f32', 'int8', 'w4', 'dynamic', 'f16'];
    started ??= writeFolder({
      source: ENCODER,
      output,
      layout: 'transformers.js',
      forms,
      calibrate: TEXTS,
      samples: 24,
    });
    return started;
  };

  test('has the files that it loads by their names', async () => {
    await written();
    expect(filesIn(output)).toEqual([
      'config.json',
      'mbert.json',
      'onnx/model.onnx',
      'onnx/model_fp16.onnx',
      'onnx/model_int8.onnx',
      'onnx/model_q4.onnx',
      'onnx/model_quantized.onnx',
      'tokenizer.json',
      'tokenizer_config.json',
      'vocab.txt',
    ]);
    expect(readFileSync(join(output, 'config.json'))).toEqual(readFileSync(join(ENCODER, 'config.json')));
  });

  test('has a tokenizer that its library reads, with the special tokens that it asks for', async () => {
    await written();
    const read = (name: string) => JSON.parse(readFileSync(join(output, name), 'utf8'));
    const config = read('tokenizer_config.json');
    expect(config).toMatchObject({ pad_token: '[PAD]', cls_token: '[CLS]', sep_token: '[SEP]', unk_token: '[UNK]' });
    const { ids, tokens } = new Tokenizer(read('tokenizer.json'), config).encode(
      `${words[3]?.toUpperCase()} ${words[9]}`,
    );
    expect(tokens).toEqual(['[CLS]', words[3], words[9], '[SEP]']);
    const lines = readFileSync(join(ENCODER, 'vocab.txt'), 'utf8').split('\n');
    expect(ids.map((id: number) => lines[id])).toEqual(tokens);
  });

  test('has a manifest by its schema, with the hash of every file', async () => {
    const { results } = await written();
    const manifest = manifestOf(output);
    const schema = JSON.parse(readFileSync('schemas/mbert.schema.json', 'utf8')) as Schema;
    expect(problemsOf(manifest, schema)).toEqual([]);
    const files = [...manifest.forms.flatMap((form) => form.files), ...manifest.files];
    expect(files.map(({ path }) => path).sort()).toEqual(filesIn(output).filter((path) => path !== 'mbert.json'));
    for (const { path, bytes, sha256 } of files) {
      expect([path, bytes, sha256]).toEqual([
        path,
        readFileSync(join(output, path)).byteLength,
        digest(join(output, path)),
      ]);
    }
    expect(manifest.forms.map(({ form }) => form)).toEqual(['f32', 'f16', 'dynamic', 'int8', 'w4']);
    expect(manifest.forms.map(({ calibration }) => calibration?.count)).toEqual([undefined, 24, 24, 24, 24]);
    // Each form says what it costs: floats nothing, halves little, integers more.
    const [f32, f16, dynamic, int8, w4] = manifest.forms.map(({ measured }) => measured?.sqnrDb ?? Number.NaN);
    expect(f32).toBeGreaterThan(100);
    for (const [more, less] of [
      [f32, f16],
      [f16, dynamic],
      [f16, int8],
      [dynamic, w4],
    ] as const)
      expect(more).toBeGreaterThan(less as number);
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
  });

  test('holds each form as it is when it is written alone', async () => {
    await written();
    const alone = join(folder, 'alone');
    const options = { source: ENCODER, calibrate: TEXTS, samples: 24 };
    await convert({ source: ENCODER, output: join(alone, 'model.onnx') });
    const [int8, dynamic] = [join(alone, 'model_int8.onnx'), join(alone, 'model_quantized.onnx')];
    await quantize({ ...options, output: int8, scheme: 'int8' });
    await quantize({ ...options, output: dynamic, scheme: 'dynamic' });
    await quantize({ ...options, output: join(alone, 'model_q4.onnx'), scheme: 'w4', target: 'ort' });
    for (const name of filesIn(alone))
      expect([name, digest(join(alone, name))]).toEqual([name, digest(join(output, 'onnx', name))]);
  });

  test('takes two texts at once, as its pipelines feed them', async () => {
    await written();
    const path = join(output, 'onnx/model_quantized.onnx');
    const session = await runtimeFor(path).load(path, { threads: 1 });
    const ids = tensorOf('i64', [2, 3], new BigInt64Array([2n, 5n, 3n, 2n, 7n, 3n]));
    const ones = tensorOf('i64', [2, 3], new BigInt64Array([1n, 1n, 1n, 1n, 1n, 1n]));
    const zeros = tensorOf('i64', [2, 3], new BigInt64Array([0n, 0n, 0n, 0n, 0n, 0n]));
    const feeds = new Map([
      ['input_ids', ids],
      ['attention_mask', ones],
      ['token_type_ids', zeros],
    ]);
    const outputs = await session.run(feeds);
    await session.close();
    expect(outputs.get('last_hidden_state')?.shape.slice(0, 2)).toEqual([2, 3]);
  });
});

test('a tokenizer that says everything is copied as it is', async () => {
  const output = join(folder, 'again');
  const first = await writeFolder({ source: ENCODER, output, layout: 'transformers.js' });
  const source = join(folder, 'complete');
  cpSync(ENCODER, source, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) cpSync(join(output, name), join(source, name));
  const second = await writeFolder({ source, output: join(folder, 'complete-out'), layout: 'transformers.js' });
  const made = (result: typeof first) =>
    result.sideFiles.filter(({ from }) => from === undefined).map(({ path }) => path);
  expect([made(first), made(second)]).toEqual([['tokenizer.json', 'tokenizer_config.json'], []]);
  expect(digest(join(folder, 'complete-out/tokenizer.json'))).toBe(digest(join(output, 'tokenizer.json')));
});

test.each(['dynamic', 'int8'] as const)('%s alone has the name that transformers.js loads by default', async (form) => {
  const output = join(folder, `default-${form}`);
  const options = { source: ENCODER, output, layout: 'transformers.js', forms: [form] } as const;
  const { results } = await writeFolder({ ...options, calibrate: TEXTS, samples: 8 });
  expect(results.map(({ files, openedBy }) => [files[0]?.path, openedBy])).toEqual([
    [join(output, 'onnx/model_quantized.onnx'), 'dtype: "q8"'],
  ]);
});

test('a folder can be written into the source, whose own files stay', async () => {
  const source = join(folder, 'in-place');
  cpSync(ENCODER, source, { recursive: true });
  const before = ['config.json', 'vocab.txt', 'model.safetensors'].map((name) => digest(join(source, name)));
  const options = { source, output: source, layout: 'transformers.js' } as const;
  // It would complete the tokenizer_config.json, which is not its own.
  await expect(writeFolder(options)).rejects.toMatchObject({
    message: `${join(source, 'tokenizer_config.json')}: exists already, and mbert did not write it`,
  });
  await writeFolder({ ...options, force: true });
  expect(['config.json', 'vocab.txt', 'model.safetensors'].map((name) => digest(join(source, name)))).toEqual(before);
  expect(filesIn(source)).toContain('onnx/model.onnx');
});

describe('a folder for sentence-transformers', () => {
  test('has the modules beside the models', async () => {
    const source = embedderIn(join(folder, 'st'), 'family-st-dense-norm');
    const output = join(folder, 'st-out');
    await writeFolder({ source, output, layout: 'sentence-transformers', forms: ['f32', 'dynamic'] });
    expect(filesIn(output)).toEqual([
      '1_Pooling/config.json',
      '2_Dense/config.json',
      '2_Dense/model.safetensors',
      '3_Normalize/config.json',
      'config.json',
      'config_sentence_transformers.json',
      'mbert.json',
      'modules.json',
      'onnx/model.onnx',
      'onnx/model_qint8_dynamic.onnx',
      'sentence_bert_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'vocab.txt',
    ]);
    expect(digest(join(output, '2_Dense/model.safetensors'))).toBe(digest(join(source, '2_Dense/model.safetensors')));
  });

  test('puts the models into the folder of the encoder, where it has one of its own', async () => {
    const flat = embedderIn(join(folder, 'nested-source'), 'family-st-mean-norm');
    const source = join(folder, 'nested');
    const own = ['config.json', 'model.safetensors', 'vocab.txt', 'tokenizer_config.json', 'sentence_bert_config.json'];
    for (const name of own) cpSync(join(flat, name), join(source, '0_Transformer', name));
    cpSync(join(flat, '1_Pooling'), join(source, '1_Pooling'), { recursive: true });
    const modules = JSON.parse(readFileSync(join(flat, 'modules.json'), 'utf8')) as { idx: number; path: string }[];
    folderWith(source, {
      'modules.json': JSON.stringify(modules.map((row) => (row.idx === 0 ? { ...row, path: '0_Transformer' } : row))),
    });
    const output = join(folder, 'nested-out');
    await writeFolder({ source, output, layout: 'sentence-transformers' });
    expect(filesIn(output)).toEqual([
      '0_Transformer/config.json',
      '0_Transformer/onnx/model.onnx',
      '0_Transformer/sentence_bert_config.json',
      '0_Transformer/tokenizer.json',
      '0_Transformer/tokenizer_config.json',
      '0_Transformer/vocab.txt',
      '1_Pooling/config.json',
      'mbert.json',
      'modules.json',
    ]);
  });
});

test('a folder for MediaPipe shows probabilities, and says nothing of logits', async () => {
  const output = join(folder, 'phone');
  const { results, warnings } = await writeFolder({
    source: fixture('hf-seqcls'),
    output,
    layout: 'mediapipe',
    forms: ['f32', 'dynamic'],
  });
  expect(filesIn(output)).toEqual(['mbert.json', 'model.tflite', 'model_dynamic.tflite']);
  expect(results.map(({ outputs }) => outputs)).toEqual([
    [{ name: 'probability', type: 'f32[1, 3]' }],
    [{ name: 'probability', type: 'f32[1, 3]' }],
  ]);
  expect(warnings.filter((warning) => warning.includes('logits'))).toEqual([]);
});

test('a model of two inputs gets a third for MediaPipe, which nothing reads', async () => {
  const source = join(folder, 'two-inputs');
  cpSync(fixture('distilbert-seqcls'), source, { recursive: true });
  for (const file of ['vocab.txt', 'tokenizer_config.json']) cpSync(join(ENCODER, file), join(source, file));
  const output = join(folder, 'three-inputs');
  const options = { source, output, sequenceLength: 8, forms: ['f32', 'int8'], calibrate: TEXTS, samples: 24 };
  const { results } = await writeFolder({ ...options, layout: 'mediapipe' });
  for (const { inputs, files, failures } of results) {
    expect(inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask', 'token_type_ids']);
    expect(failures).toEqual([]);
    const session = await runtimeFor(files[0]?.path as string).load(files[0]?.path as string);
    const ids = tensorOf('i32', [1, 8], Int32Array.of(2, 5, 9, 3, 0, 0, 0, 0));
    const mask = tensorOf('i32', [1, 8], Int32Array.of(1, 1, 1, 1, 0, 0, 0, 0));
    const answers = [];
    for (const type of [0, 1]) {
      const types = tensorOf('i32', [1, 8], new Int32Array(8).fill(type));
      const feeds = new Map([
        ['input_ids', ids],
        ['attention_mask', mask],
        ['token_type_ids', types],
      ]);
      answers.push(readF32((await session.run(feeds)).get('probability') as Tensor));
    }
    await session.close();
    expect(answers[0]?.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 1);
    expect(answers[1]).toEqual(answers[0]);
  }
});

test('a model whose types are dropped is proved by tokens of the first text, though MediaPipe gives it types', async () => {
  const output = join(folder, 'dropped');
  const { results } = await writeFolder({
    source: fixture('hf-seqcls'),
    output,
    layout: 'mediapipe',
    sequenceLength: 8,
    dropTokenTypes: true,
  });
  expect(results.map(({ inputs }) => inputs.length)).toEqual([3]);
  expect(results.map(({ failures }) => failures)).toEqual([[]]);
});

test('without a layout, both formats are written and named after their forms', async () => {
  const output = join(folder, 'plain');
  await writeFolder({ source: ENCODER, output, forms: ['f32', 'f16'], sequenceLength: 8 });
  expect(filesIn(output)).toEqual(['mbert.json', 'model.onnx', 'model.tflite', 'model_f16.onnx', 'model_f16.tflite']);
});

describe('what cannot be opened is refused', () => {
  const web = { layout: 'transformers.js' } as const;
  test.each<[string, Partial<FolderOptions>, string]>([
    ['an unknown form', { forms: ['f32', 'int9'] }, 'USAGE: --forms: there is no form "int9"; did you mean int8?'],
    [
      'int8 without texts',
      { forms: ['int8'] },
      'USAGE: --forms int8: needs --calibrate FILE; a hundred lines of text as the model will see it; the form dynamic needs none',
    ],
    [
      'a file in place of a folder',
      { ...web, output: join(folder, 'x', 'm.onnx') },
      `USAGE: --output: ${join(folder, 'x', 'm.onnx')}: --layout and --forms write a folder; name one, as ${join(folder, 'x', 'm')}/; what ends with / is one`,
    ],
    [
      'dumps of several forms',
      { forms: ['f32', 'f16'], dumpPasses: join(folder, 'dumps') },
      'USAGE: --dump-passes: is for one form; name one with --forms',
    ],
    [
      'texts that nothing is calibrated on',
      { ...web, calibrate: TEXTS },
      'USAGE: --calibrate: no pass is asked for that changes the function;',
    ],
    [
      'weights beside the model',
      { ...web, externalData: true },
      'USAGE: --external-data: transformers.js looks for other names of such files; leave it out: below 2 GB a model is one file',
    ],
    [
      'outputs of which none is read',
      { ...web, outputs: ['pooler_output'] },
      'USAGE: --outputs pooler_output: transformers.js reads last_hidden_state or logits or token_embeddings or start_logits; name one of these besides',
    ],
    [
      'an encoder without modules for sentence-transformers',
      { layout: 'sentence-transformers' },
      `NOT_FOUND: ${ENCODER}: modules.json: is not there; sentence-transformers says in it how vectors are pooled: SentenceTransformer(folder).save(folder) writes one`,
    ],
    [
      'features for MediaPipe',
      { layout: 'mediapipe' },
      `UNSUPPORTED: ${join(ENCODER, 'model.safetensors')}: features: MediaPipe has no task that reads its outputs; it classifies and embeds: name the one output to give out with --outputs, or write the file without --layout`,
    ],
    [
      'several texts at once for MediaPipe',
      { layout: 'mediapipe', batch: 2 },
      'USAGE: --batch 2: MediaPipe runs one text at a time; leave it out',
    ],
    [
      'a model without a tokenizer',
      { ...web, source: fixture('family-bert-relkey') },
      `NOT_FOUND: ${fixture('family-bert-relkey')}: tokenizer.json: is not there, and transformers.js reads it; AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one; --vocab names one that lies elsewhere`,
    ],
    [
      'integers that are there already',
      { ...web, source: unpacked(fixture('onnx-qa-qdq')) },
      `UNSUPPORTED: ${unpacked(fixture('onnx-qa-qdq'))}: is quantized already; name the float model that it was made of, or convert this one alone, without --layout and --forms`,
    ],
  ])('%s', async (_, options, message) => {
    const output = join(folder, 'refused');
    const refusal = await writeFolder({ source: ENCODER, output, ...options }).then(
      () => 'nothing',
      ({ code, message: problem, hint }: MbertError) => `${code}: ${problem}; ${hint}`,
    );
    expect(refusal.slice(0, message.length)).toBe(message);
    expect(() => filesIn(output)).toThrow('ENOENT');
  });

  test('files beside the models that mbert did not write stay, unless that is asked for', async () => {
    const output = folderWith(join(folder, 'taken'), { 'config.json': '{"somebody": "else"}' });
    const options = { source: ENCODER, output, layout: 'transformers.js' } as const;
    await expect(writeFolder(options)).rejects.toMatchObject({
      code: 'USAGE',
      message: `${join(output, 'config.json')}: exists already, and mbert did not write it`,
    });
    expect(filesIn(output)).toEqual(['config.json']);
    const notes: string[] = [];
    const note = (text: string) => notes.push(text);
    await writeFolder({ ...options, force: true, note });
    expect(notes).toEqual([`${join(output, 'config.json')}: will be replaced`]);
    // What it has written itself it replaces, by its manifest.
    const other = join(folder, 'other');
    cpSync(ENCODER, other, { recursive: true });
    folderWith(other, {
      'config.json': readFileSync(join(ENCODER, 'config.json'), 'utf8').replace('{', '{"name": 1,'),
    });
    await writeFolder({ ...options, source: other });
    expect(digest(join(output, 'config.json'))).toBe(digest(join(other, 'config.json')));
  });

  test('a folder that is half written is as it was before', async () => {
    const output = folderWith(join(folder, 'half'), { 'onnx/model.onnx': 'old', 'config.json': 'old' });
    const options = { source: ENCODER, output, layout: 'transformers.js', forms: ['f32', 'f16', 'dynamic'] } as const;
    // Ended when two of the three are written.
    const ended = new AbortController();
    const progress = (step: string) => {
      if (step === 'writing model_quantized.onnx') ended.abort(new Error('ended'));
    };
    const files = { progress, signal: ended.signal, force: true };
    await expect(writeFolder({ ...options, ...files })).rejects.toThrow('ended');
    expect(filesIn(output)).toEqual(['config.json', 'onnx/model.onnx']);
    expect(readFileSync(join(output, 'onnx/model.onnx'), 'utf8')).toBe('old');
  });
});

test('flags of one format are for both forms of a folder of both', async () => {
  const output = join(folder, 'both-flags');
  const asked = { source: 'fixtures/hf-seqcls', output, forms: ['f32', 'dynamic'], softmax: true, opset: 18 } as const;
  const { results } = await writeFolder(asked);
  expect(results.map(({ form, outputs }) => [form, outputs[0]?.name])).toEqual([
    ['f32', 'probability'],
    ['dynamic', 'probability'],
    ['f32', 'logits'],
    ['dynamic', 'logits'],
  ]);
});

test('a form whose answers are no numbers has failed', async () => {
  const source = changedCheckpoint('fixtures/bert-seqcls', join(folder, 'overflows'), (name, values) => {
    if (name === 'bert.embeddings.LayerNorm.weight') values.fill(3e38);
  });
  const { results } = await writeFolder({ source, output: join(folder, 'overflows-out'), forms: ['dynamic'] });
  expect(results).toHaveLength(2);
  for (const { failures } of results)
    expect(failures).toEqual([expect.stringMatching(/: an output holds NaN or infinity$/)]);
  for (const { measured } of manifestOf(join(folder, 'overflows-out')).forms) expect(measured).toBeUndefined();
});

test('a regression has the correlation of its answers in the manifest and in the table, no share of equal ones', async () => {
  const output = join(folder, 'regression');
  const source = 'fixtures/hf-seqcls-regression';
  const argv = ['convert', source, '-o', output, '--forms', 'f32,dynamic', '--calibrate', TEXTS, '--samples', '24'];
  const { code, out } = await runCommand(folder, ...argv);
  expect(code).toBe(0);
  expect(out).toMatch(/SQNR +correlation of answers +cosine/);
  const manifest = manifestOf(output);
  expect(problemsOf(manifest, JSON.parse(readFileSync('schemas/mbert.schema.json', 'utf8')) as Schema)).toEqual([]);
  const [, dynamic] = manifest.forms.map(({ measured }) => measured);
  expect(dynamic).toMatchObject({ correlation: expect.any(Number) });
  expect(dynamic).not.toHaveProperty('agreement');
  expect(dynamic).not.toHaveProperty('cosine');
  expect(out).toContain(String(dynamic?.correlation?.toFixed(4)));
});
