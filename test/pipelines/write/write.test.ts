import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import type { OpenedModel } from '../../../src/opened/opened-model.ts';
import { type PassOptions, passChoice } from '../../../src/options/passes.ts';
import { type RunOptions, startRun } from '../../../src/options/run.ts';
import { type Writing, writingOf } from '../../../src/options/writing.ts';
import { bytesOf, exportGraph } from '../../../src/pipelines/write/export-graph.ts';
import { targetOf, writePlans } from '../../../src/pipelines/write/plans.ts';
import { countCalls, prepare } from '../../../src/pipelines/write/prepare.ts';
import { twinShape } from '../../../src/pipelines/write/twin.ts';
import { writeModel } from '../../../src/pipelines/write/write-model.ts';
import { graphOf } from '../../core.ts';
import { modelOf } from '../opened-model.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

describe('what is written', () => {
  test.each([
    ['m.onnx', [['onnx', 'm.onnx']]],
    ['a/m.TFLite', [['tflite', 'a/m.TFLite']]],
    [
      'models/',
      [
        ['tflite', 'models/model.tflite'],
        ['onnx', 'models/model.onnx'],
      ],
    ],
    [
      'v1.2/models',
      [
        ['tflite', 'v1.2/models/model.tflite'],
        ['onnx', 'v1.2/models/model.onnx'],
      ],
    ],
    [
      'model-v1.5',
      [
        ['tflite', 'model-v1.5/model.tflite'],
        ['onnx', 'model-v1.5/model.onnx'],
      ],
    ],
    [
      'v1.2/',
      [
        ['tflite', 'v1.2/model.tflite'],
        ['onnx', 'v1.2/model.onnx'],
      ],
    ],
  ])('to %s', (output, expected) => {
    expect(writePlans(output).map(({ target, path }) => [target, path])).toEqual(expected);
  });

  test.each(['m.pb', 'models.v2', 'm.onnx.gz'])('is nothing to %s', (output) => {
    const extension = /[^.]+$/.exec(output)?.[0];
    expect(() => targetOf(output)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: `${output}: mbert writes .tflite and .onnx files, not .${extension}`,
      }),
    );
  });
});

describe('a file that cannot run here', () => {
  const graph = (shape: string) =>
    graphOf(`graph g (input_ids: i32[${shape}])
  x = gather(t f32[4, 2] #1, input_ids)
return y: x`);
  const LONG = { maxPositions: 512 };

  test.each([
    ['1, sequence', LONG, { batch: 1, sequenceLength: 64 }],
    ['batch, sequence', LONG, { batch: 1, sequenceLength: 64 }],
    ['4, sequence', LONG, { batch: 4, sequenceLength: 64 }],
    ['batch, 128', LONG, { batch: 1, sequenceLength: 128 }],
    ['1, sequence', { maxPositions: 32 }, { batch: 1, sequenceLength: 32 }],
    ['1, choices, sequence', LONG, { batch: 1, choices: 2, sequenceLength: 64 }],
    ['1, 3, sequence', LONG, { batch: 1, choices: 3, sequenceLength: 64 }],
  ])('has a twin for [%s]', (shape, model, expected) => {
    expect(twinShape(graph(shape), 'tflite', model)).toEqual(expected);
  });

  test('is none of fixed shapes, and none of ONNX', () => {
    expect(twinShape(graph('1, 128'), 'tflite', LONG)).toBeUndefined();
    expect(twinShape(graph('batch, sequence'), 'onnx', LONG)).toBeUndefined();
  });
});

const TEXT = `graph g (input_ids: i64[1, 4])
  words = gather(table f32[9, 2] #1, input_ids)
  first = slice(words) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 2]}
  unused.one = mul(pooled, one f32[] {1})
  products = linear(unused.one, w f32[3, 2] #2)
  logits = add(products, b f32[3] #3)
return start_logits: logits, end_logits: logits`;

describe('a graph is prepared', () => {
  async function prepared(
    target: 'onnx' | 'tflite',
    options: PassOptions & { readonly softmax?: boolean; readonly model?: Partial<OpenedModel> } = {},
  ) {
    const { softmax = false, model, ...passes } = options;
    const run = startRun({});
    const writing = { softmax, outputs: undefined, dropTokenTypes: false, unusedTokenTypes: false };
    const found = await prepare(modelOf(TEXT, model), target, { shape: {}, passes: passChoice(passes), writing, run });
    return { ...found, outputs: found.graph.outputs.map(({ name }) => name), ops: opsOf(found.graph) };
  }
  const opsOf = (graph: Graph) => graph.nodes().flatMap(({ op }) => (op === 'input' || op === 'constant' ? [] : [op]));

  test('with the passes that were chosen, each with what it did', async () => {
    const { reports, nodesBefore, ops } = await prepared('onnx', { passes: 'none,fuse-linear' });
    expect(nodesBefore).toBe(6);
    expect(reports).toEqual([{ name: 'fuse-linear', rewrites: 1, declined: [] }]);
    expect(ops).toEqual(['gather', 'slice', 'reshape', 'mul', 'linear']);
  });

  test('without a pass that its model has behind it', async () => {
    const model = { applied: ['fuse-linear'] };
    expect((await prepared('onnx', { passes: 'none,fuse-linear', model })).reports).toEqual([]);
  });

  test('but for nodes that are to be left alone', async () => {
    const { ops } = await prepared('onnx', { passes: 'none,fuse-linear', keep: /products|logits/ });
    expect(ops).toContain('add');
  });

  test('for TFLite with the end of an answer first, as Task Library reads it', async () => {
    const model = { task: 'qa' } as const;
    expect((await prepared('tflite', { passes: 'none', model })).outputs).toEqual(['end_logits', 'start_logits']);
    expect((await prepared('onnx', { passes: 'none', model })).outputs).toEqual(['start_logits', 'end_logits']);
    expect((await prepared('tflite', { passes: 'none' })).outputs).toEqual(['start_logits', 'end_logits']);
  });

  test('for TFLite with probabilities where they are asked for', async () => {
    const count = async (target: 'onnx' | 'tflite', softmax: boolean) =>
      (await prepared(target, { passes: 'none', softmax })).ops.filter((op) => op === 'softmax').length;
    expect([await count('tflite', true), await count('tflite', false), await count('onnx', true)]).toEqual([2, 0, 0]);
  });

  test('but probabilities are refused of what is no classification', async () => {
    for (const task of ['qa', 'features'] as const) {
      await expect(prepared('tflite', { softmax: true, model: { task } })).rejects.toMatchObject({
        code: 'USAGE',
        message: `--softmax: is for classification, the task is ${task}`,
      });
    }
    for (const task of [undefined, 'token-classification'] as const) {
      const { outputs } = await prepared('tflite', { softmax: true, model: { task } });
      expect(outputs).toEqual(['probability', 'probability']);
    }
  });

  test('and its calls are counted without inputs and constants', () => {
    expect(countCalls(graphOf(TEXT))).toBe(6);
  });
});

describe('an exported file', () => {
  const CLASSES = TEXT.replace(/return.*/, 'return logits: logits').replace('i64', 'i32');

  async function textOf(target: 'onnx' | 'tflite', model: Partial<OpenedModel>, writing: Partial<Writing> = {}) {
    const options = { ...writingOf({}, `m.${target}`, target), ...writing };
    const properties = { more: 'said besides' };
    const files = exportGraph(modelOf(CLASSES, model), graphOf(CLASSES), {
      target,
      name: `m.${target}`,
      writing: options,
      properties,
    });
    return Buffer.from(await bytesOf(files)).toString('latin1');
  }

  test.each(['onnx', 'tflite'] as const)('says what it is in %s', async (target) => {
    const written = await textOf(
      target,
      { tokenizer: { lowerCase: false }, labels: ['a', 'b', 'c'] },
      { dtype: 'f16' },
    );
    // TFLite's properties are JSON themselves.
    const text = written.replaceAll('\\', '');
    for (const said of ['mbert.architecture', 'tiny', 'sequence-classification', 'f16', 'false', '["a","b","c"]'])
      expect(text).toContain(said);
    expect(text).toContain('said besides');
    expect(await textOf(target, { task: undefined })).not.toContain('mbert.task');
  });

  test('carries the words and classes of its model, or the words of the user', async () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const words = (text: string) => ({ vocabulary: { what: 'vocab.txt', bytes: bytes(text) } });
    const model = { tokenizer: words('wordsofthemodel'), labels: ['one', 'two', 'three'] };
    const own = await textOf('tflite', model);
    expect(own).toContain('wordsofthemodel');
    expect(own).toContain('one\ntwo\nthree');
    const given = await textOf('tflite', model, { tokenizer: words('wordsoftheuser') });
    expect(given).not.toContain('wordsofthemodel');
    expect(given).toContain('wordsoftheuser');
  });
});

describe('a written model', () => {
  async function write(options: RunOptions = {}, name = 'model.onnx') {
    const model = modelOf(TEXT);
    const run = startRun(options);
    const prepared = await prepare(model, 'onnx', {
      shape: {},
      passes: passChoice({ passes: 'none' }),
      writing: writingOf({}, name, 'onnx'),
      run,
    });
    const plan = { target: 'onnx', path: join(folder, 'new', name) } as const;
    return writeModel(model, prepared, { plan, writing: writingOf({}, name, 'onnx'), properties: {}, run });
  }

  test('is told of as it lies on the disk', async () => {
    const { files, ...file } = await write();
    expect(files).toEqual([{ path: join(folder, 'new', 'model.onnx'), size: expect.any(Number) }]);
    expect(files[0]?.size).toBe(readFileSync(files[0]?.path ?? '').byteLength);
    expect(file).toEqual({
      target: 'onnx',
      inputs: [{ name: 'input_ids', type: 'i64[1, 4]' }],
      outputs: [
        { name: 'start_logits', type: 'f32[1, 3]' },
        { name: 'end_logits', type: 'f32[1, 3]' },
      ],
      nodesBefore: 6,
      nodesAfter: 6,
      passes: [],
    });
  });

  test('tells how many bytes are written', async () => {
    const told: [string, number | undefined, number | undefined][] = [];
    const { files } = await write({ progress: (...step) => told.push(step as never) });
    const writing = told.filter(([step]) => step === 'writing model.onnx');
    expect(writing.at(-1)?.[1]).toBe(files[0]?.size);
    const done = writing.map(([, bytes]) => bytes);
    expect(done).toEqual(done.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
    expect(new Set(writing.map(([, , total]) => total))).toEqual(new Set([files[0]?.size]));
  });

  test('that is ended while it is written leaves nothing, and nothing of another file', async () => {
    await write();
    const before = readFileSync(join(folder, 'new', 'model.onnx'));
    const controller = new AbortController();
    const progress = (step: string) => {
      if (step.startsWith('writing')) controller.abort(new Error('enough'));
    };
    for (const name of ['other.onnx', 'model.onnx']) {
      await expect(write({ signal: controller.signal, progress }, name)).rejects.toThrow('enough');
    }
    expect(readdirSync(join(folder, 'new'))).toEqual(['model.onnx']);
    expect(readFileSync(join(folder, 'new', 'model.onnx')).equals(before)).toBe(true);
    expect(existsSync(join(folder, 'new', 'other.onnx'))).toBe(false);
  });
});
