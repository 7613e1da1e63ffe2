import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { encodeFlatbuffer } from '../../src/formats/tflite/encode.ts';
import { modelRoot } from '../../src/formats/tflite/generated/model.ts';
import { storedZip } from '../../src/formats/zip-stored.ts';
import { integerTensor } from '../../src/ir/tensor.ts';
import { changedCheckpoint } from '../diff/checkpoints.ts';
import { npyFile } from '../formats/npy-file.ts';
import { Changes, goodFile, strictFile } from '../lint/sample.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const run = (...argv: string[]) => runCommand(folder, 'verify', ...argv);
const path = (name: string) => join(folder, name);
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(path(name), content);
  return path(name);
};

/** Two layers with LayerNorm and GELU, three classes, random weights. */
const SOURCE = 'fixtures/bert-seqcls';
const DAMAGED = 'bert.encoder.layer.1.intermediate.dense';
/** Four layers, trained on SST-2. */
const DEMO = 'fixtures/mobilebert-demo';

/** `input_ids` [samples, 8], all of them valid tokens, and what else is given for each sample. */
function tokenFile(name: string, samples: number, perSample: { readonly [array: string]: readonly number[] }): string {
  const ids = Array.from({ length: samples * 8 }, (_, i) => (i % 8 === 7 ? 3 : 5 + ((i * 37) % 900)));
  const types = ids.map((_, i) => (i % 8 < 3 ? 0 : 1));
  const arrays = {
    input_ids: integerTensor('i64', ids, [samples, 8]),
    token_type_ids: integerTensor('i64', types, [samples, 8]),
    ...Object.fromEntries(
      Object.entries(perSample).map(([key, values]) => [key, integerTensor('i64', [...values], [samples])]),
    ),
  };
  const entries = Object.entries(arrays).map(([key, tensor]) => ({ name: `${key}.npy`, bytes: npyFile(tensor) }));
  return write(name, storedZip(entries, 0));
}

/** The positions of a dynamic file counted from the end, which only TFLite's own operator does. */
function countedBackwards(file: string): Uint8Array {
  const model = decodeFlatbuffer(modelRoot, readFileSync(file), file);
  const subgraphs = model.subgraphs?.map((graph) => ({
    ...graph,
    operators: graph.operators?.map((operator) => {
      const { builtinOptions } = operator;
      if (builtinOptions?.kind !== 'CumsumOptions') return operator;
      return { ...operator, builtinOptions: { ...builtinOptions, value: { ...builtinOptions.value, reverse: true } } };
    }),
  }));
  // The metadata names a vocabulary that stands behind the FlatBuffer.
  return encodeFlatbuffer(modelRoot, { ...model, subgraphs, metadata: undefined }).bytes;
}

beforeAll(async () => {
  changedCheckpoint(SOURCE, path('damaged'), (name, values) => {
    if (name === `${DAMAGED}.weight`) values.reverse();
  });
  const convert = (...argv: string[]) => runCommand(folder, 'convert', ...argv);
  await convert(SOURCE, '-o', path('good.onnx'));
  await convert(path('damaged'), '-o', path('damaged.tflite'), '--sequence-length', '32');
  await convert(SOURCE, '-o', path('dynamic.tflite'), '--sequence-length', 'dynamic');
  write('backwards.tflite', countedBackwards(path('dynamic.tflite')));
  await convert(SOURCE, '-o', path('short.tflite'), '--sequence-length', '16');
});

describe('against a reference', () => {
  test('an exact conversion is equal', async () => {
    const { code, out, err } = await run(path('good.onnx'), '--against', SOURCE, '--samples', '16');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.replace(/\d\.\de-\d|\d+\.\d dB/g, '#')).toMatchInlineSnapshot(`
      "<tmp>/good.onnx: bert, in onnxruntime 1.30.0, sequence-classification
      against fixtures/bert-seqcls: bert, its graph in onnxruntime 1.30.0
      on 16 token sequences of seed 1, unpadded

      output  max error      SQNR    argmax
      logits     #  #  100.00 %
      equal answers  100.00 %

      35 inner values compared on 8 samples
      layer                                  SQNR
      bert.encoder.layer.0.output.LayerNorm  equal
      bert.encoder.layer.1.output.LayerNorm  equal
      no inner value is far from the reference

      measured, not judged: --max-drop POINTS sets a limit
      "
    `);
  });

  test('a dynamic TFLite file runs as its graph', async () => {
    const { code, out } = await run(path('dynamic.tflite'), '--against', SOURCE, '--samples', '16', '--json');
    const { model, outputs } = JSON.parse(out);
    expect({ code, ran: model.ran }).toEqual({ code: 0, ran: 'graph' });
    expect(outputs[0].sqnrDb).toBeGreaterThan(100);
  });

  test('a damaged layer is found by its name, in a file of another format', async () => {
    const { code, out } = await run(path('damaged.tflite'), '--against', SOURCE, '--samples', '32', '--json');
    expect(code).toBe(0);
    const { layers, inputs, model, outputs } = JSON.parse(out);
    expect(model).toMatchObject({ ran: 'file', runtime: expect.stringMatching(/^litert /) });
    expect(inputs).toEqual({ data: null, samples: 32, seed: 1, paddedTo: 32 });
    expect(outputs[0].sqnrDb).toBeLessThan(20);
    expect(layers).toMatchObject({ scale: 'as-is', parting: { name: DAMAGED, op: 'linear' } });
    expect(layers.parting.sqnrDb).toBeLessThan(5);
    // Two kernels of f32 differ in the last bits, or not at all.
    expect(layers.parting.before ?? 120).toBeGreaterThan(100);
    expect(layers.layers.map(({ sqnrDb }: { sqnrDb: number | null }) => (sqnrDb ?? 120) > 100)).toEqual([true, false]);
  });

  test('--max-drop decides the exit code', async () => {
    const { code, out } = await run(path('damaged'), '--against', SOURCE, '--max-drop', '0');
    expect(code).toBe(1);
    expect(out).toMatch(/FAILED --max-drop: \d+\.\d\d points of agreement are lost, 0 may be\n$/);
    expect((await run(path('damaged'), '--against', SOURCE, '--max-drop', '100')).code).toBe(0);
  });

  test('a quantized model with other units in its streams is compared up to scale', async () => {
    const texts = `${DEMO}/sst2-train-256.txt`;
    const file = path('int8.onnx');
    const quantized = await runCommand(
      folder,
      'quantize',
      DEMO,
      '-o',
      file,
      '--scheme',
      'int8',
      '--calibrate',
      texts,
      '--samples',
      '32',
      '--no-scan',
    );
    expect(quantized.code).toBe(0);
    const { code, out } = await run(
      file,
      '--against',
      DEMO,
      '--data',
      `${DEMO}/sst2-dev-200.tsv`,
      '--samples',
      '40',
      '--max-drop',
      '5',
      '--json',
    );
    expect(code).toBe(0);
    const { metrics, layers, agreement, drop } = JSON.parse(out);
    expect(metrics).toMatchObject({ primary: 'accuracy', samples: 40 });
    expect(metrics.against.accuracy).toBeGreaterThan(0.7);
    expect(drop).toEqual({
      points: expect.closeTo(100 * (metrics.against.accuracy - metrics.model.accuracy), 9),
      of: 'accuracy',
      limit: 5,
    });
    expect(agreement).toBeGreaterThan(0.9);
    expect(layers.layers).toHaveLength(4);
    for (const { sqnrDb } of layers.layers) expect(sqnrDb).toBeGreaterThan(25);
    expect(layers.parting).toBeNull();
  });

  test('knowledge-transfer losses of each layer', async () => {
    const texts = write('texts.txt', 'a b\nc d e\n');
    const { code, out } = await run(path('damaged'), '--against', SOURCE, '--layers', '1:1', '--data', texts, '--json');
    expect(code).toBe(0);
    const { transfer } = JSON.parse(out);
    expect(transfer).toMatchObject({
      samples: 2,
      layers: [
        { student: 0, teacher: 0 },
        { student: 1, teacher: 1 },
      ],
    });
    expect(transfer.layers[0].featureMapMse).toBe(0);
    expect(transfer.layers[1].featureMapMse).toBeGreaterThan(0.01);
    expect(transfer.logitsKl).toBeGreaterThan(0);
  });

  test('by a map of other layers leave out inner values, which are paired by name', async () => {
    const texts = write('texts.txt', 'a b\nc d e\n');
    const map = write('map.json', '{"0": 1}');
    const { code, out } = await run(path('damaged'), '--against', SOURCE, '--layers', map, '--data', texts, '--json');
    expect(code).toBe(0);
    const { layers, transfer, warnings } = JSON.parse(out);
    expect(layers).toBeNull();
    expect(transfer.layers).toMatchObject([{ student: 0, teacher: 1 }]);
    expect(warnings).toContainEqual(
      expect.stringMatching(/^inner values are not compared: .* pairs layer 0 with layer 1/),
    );
  });
});

test('says that folded norms leave feature maps in other units', async () => {
  await runCommand(folder, 'convert', 'fixtures/hf-seqcls', '-o', path('folded.onnx'));
  const { code, err } = await run(path('folded.onnx'), '--against', 'fixtures/hf-seqcls', '--layers', '1:1');
  expect(code).toBe(0);
  expect(err).toBe(
    "warning: <tmp>/folded.onnx: its norms are folded, so its feature maps are in other units than the teacher's\n",
  );
});

test('views tell how answers agree on parts of the texts, whose control characters stay where they are', async () => {
  const texts = write('views.txt', 'a b c d <b>\u001b[31m e\nf g\nh i j\n');
  const page = path('views.html');
  const views = ['--views', 'right,full,masked'];
  const { code, out } = await run(path('damaged'), '--against', SOURCE, '--data', texts, ...views, '--report', page);
  expect(code).toBe(0);
  const table = out
    .split('\n\n')
    .find((part) => part.startsWith('agreement by view; distance: probability that moved'));
  expect(table?.split('\n').map((line) => line.split(' ', 1)[0])).toEqual([
    'agreement',
    ...['view', 'full', 'right', 'masked'],
    'where',
    ...['view', 'full', 'full', 'full', 'right', 'right', 'right', 'masked', 'masked', 'masked'],
  ]);
  expect(out).not.toContain('\u001b');
  expect(readFileSync(page, 'utf8')).toContain('d &lt;b&gt;');
  expect(readFileSync(page, 'utf8')).not.toContain('d <b>');
});

describe('alone', () => {
  test('task metrics of labelled texts', async () => {
    const data = write('labelled.tsv', 'sentence\tlabel\na b c\t0\nd e\t1\nf g h\t2\n');
    const { code, out } = await run(SOURCE, '--data', data, '--json');
    expect(code).toBe(0);
    const { metrics, against, outputs, drop } = JSON.parse(out);
    expect({ against, outputs, drop }).toEqual({ against: null, outputs: [], drop: null });
    expect(metrics).toMatchObject({ samples: 3, against: null, note: null });
    expect(Object.keys(metrics.model)).toEqual(['accuracy', 'f1', 'mcc']);
  });

  test('a regression has correlations', async () => {
    const data = write('scores.tsv', 'sentence\tlabel\na b c\t0.5\nd e\t2.25\nf g h i\t4\n');
    const { code, out } = await run('fixtures/hf-seqcls-regression', '--data', data, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out).metrics).toMatchObject({
      primary: 'pearson',
      model: { pearson: expect.any(Number), spearman: expect.any(Number) },
    });
  });

  test('questions have EM and F1 of token spans', async () => {
    const starts = [3, 4, 5];
    const data = tokenFile('spans.npz', 3, {
      start_positions: starts,
      end_positions: starts.map((start) => start + 1),
    });
    const { code, out } = await run('fixtures/hf-qa', '--data', data, '--json');
    expect(code).toBe(0);
    const { metrics } = JSON.parse(out);
    expect(metrics).toMatchObject({ primary: 'spanF1', samples: 3, note: 'token spans' });
    expect(metrics.model.spanF1).toBeGreaterThanOrEqual(metrics.model.exactMatch);
  });

  test('lint alone does not run the model', async () => {
    const good = await run(write('good.tflite', await goodFile()), '--lint');
    expect(good).toMatchObject({ code: 0, err: '', out: expect.stringContaining(' rules, 0 findings\n\nok') });
    const file = new Changes(await strictFile());
    file.quantization('p').scale?.fill(1 / 255);
    const bad = await run(write('strict.tflite', file.bytes()), '--lint');
    expect(bad.code).toBe(1);
    expect(bad.out).toContain('  error fixed-scales: p: ');
    expect(bad.out.trimEnd().split('\n').at(-1)).toBe('FAILED lint: the file breaks a rule');
  });
});

describe('refuses', () => {
  const texts = () => write('plain.txt', 'a b\nc d\n');
  test.each<[string, () => string[], string]>([
    ['nothing to do', () => [SOURCE], 'verify: nothing to verify the model by'],
    ['a gate without a reference', () => [SOURCE, '--data', texts(), '--max-drop', '1'], '--max-drop: needs --against'],
    ['a layer map without one', () => [SOURCE, '--data', texts(), '--layers', '1:1'], '--layers: needs --against'],
    ['views without one', () => [SOURCE, '--data', texts(), '--views', 'full'], '--views: needs --against'],
    ['views of no text', () => [SOURCE, '--against', SOURCE, '--views', 'full'], '--views: needs --data FILE'],
    [
      'a view that is none',
      () => [SOURCE, '--against', SOURCE, '--data', texts(), '--views', 'full,top'],
      '--views: no view is called top\nhint: views are full, left, right, masked',
    ],
    [
      'to mask where there is no [MASK]',
      () => [
        path('good.onnx'),
        '--against',
        path('good.onnx'),
        '--data',
        tokenFile('t.npz', 2, {}),
        '--views',
        'masked',
      ],
      'the vocabulary that reads it has no [MASK]',
    ],
    ['no labels', () => [SOURCE, '--data', texts()], 'plain.txt: has no labels for sequence-classification'],
    [
      'a gate on few samples',
      () => [SOURCE, '--against', SOURCE, '--data', texts(), '--max-drop', '1'],
      '2 samples, 32 are the least',
    ],
    ['two lengths', () => [path('damaged.tflite'), '--against', path('short.tflite')], 'no input fits both'],
    [
      'another length',
      () => [path('short.tflite'), '--against', SOURCE, '--sequence-length', '8'],
      'the model is fixed to 16',
    ],
    [
      'more positions than there are',
      () => [SOURCE, '--against', SOURCE, '--sequence-length', '65'],
      'a model has 64 positions',
    ],
    [
      'other heads',
      () => ['fixtures/hf-qa', '--against', SOURCE],
      'outputs start_logits and end_logits cannot be compared with logits',
    ],
    [
      'other classes',
      () => ['fixtures/hf-seqcls-regression', '--against', SOURCE],
      'output logits: has 1 values for a sequence, the reference has 3',
    ],
    [
      'layers that do not fit',
      () => [SOURCE, '--against', SOURCE, '--layers', '1:2'],
      '--layers 1:2: the student has 2 layers, the teacher 2',
    ],
    ['hidden sizes that differ', () => ['fixtures/hf-seqcls', '--against', SOURCE, '--layers', '1:1'], 'channels'],
    [
      'labels that are no class',
      () => [SOURCE, '--data', write('odd.tsv', 'sentence\tlabel\na\t7\n')],
      "label 7: is none of the model's 3 classes",
    ],
    [
      'an answer outside of its tokens',
      () => ['fixtures/hf-qa', '--data', tokenFile('odd.npz', 1, { start_positions: [9], end_positions: [9] })],
      'sample 1: its answer is tokens 9 to 9 of 8',
    ],
    [
      'text without a vocabulary',
      () => [path('good.onnx'), '--data', texts()],
      'is text, and the model has no vocabulary',
    ],
    [
      'a dynamic TFLite file with an op of its own',
      () => [path('backwards.tflite'), '--against', SOURCE],
      'LiteRT runs fixed shapes only here',
    ],
    [
      'a task that the outputs are not of',
      () => [path('good.onnx'), '--against', path('good.onnx'), '--task', 'qa'],
      '--task qa: the outputs are logits [batch, 3]',
    ],
    ['a model that is not there', () => [path('none.onnx'), '--against', SOURCE], 'none.onnx: '],
    ['a share above 100', () => [SOURCE, '--against', SOURCE, '--max-drop', '101'], 'it must be 0 to 100'],
  ])('%s', async (_, argv, problem) => {
    const { code, out, err } = await run(...argv());
    expect(err).toContain(problem);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });
});

test('the help has examples and exit codes', async () => {
  const { code, out } = await run('--help');
  expect(code).toBe(0);
  expect(out).toContain('$ mbert verify int8.tflite --against ./mobilebert-sst2');
  expect(out).toContain('Exit codes: 0 done, 1 ');
});
