import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../commands/run.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const inspected = async (...argv: string[]) => (await runCommand(folder, 'inspect', ...argv)).out;
const SOURCE = 'fixtures/hf-seqcls';

beforeAll(async () => {
  const quantize = ['quantize', SOURCE, '--scheme', 'dynamic', '--sequence-length', '16'];
  for (const name of ['m.tflite', 'm.onnx']) await runCommand(folder, ...quantize, '-o', path(name));
});

describe('inspect says what a model is', () => {
  test('of a checkpoint', async () => {
    expect(await inspected(SOURCE)).toMatchInlineSnapshot(`
      "fixtures/hf-seqcls: checkpoint
      model      mobilebert, sequence-classification
      written by transformers 5.23.0
      inputs     input_ids i64[batch, sequence]
                 attention_mask i64[batch, sequence]
                 token_type_ids i64[batch, sequence]
      outputs    logits f32[batch, 3]
      length     at most 64 tokens
      labels     3: contradiction, entailment, neutral
      vocabulary 1000 tokens, WordPiece, lower case
      weights    0.10 M parameters, 385.3 kB
                 385.3 kB f32 in 107 weights
      nodes      111 nodes: linear 33, noNorm 17, add 16, reshape 10, relu 8, transpose 8, matmul 4, mul 3, gather 2, shift 2, slice 2, softmax 2, cast 1, concat 1, sub 1, tanh 1
      states     transformers: 5.23.0
      "
    `);
  });

  test('of a TFLite file', async () => {
    const lines = (await inspected(path('m.tflite'))).split('\n');
    expect(lines[0]).toMatch(/^<tmp>\/m.tflite: tflite, [\d.]+ kB$/);
    expect(lines.slice(1, 4)).toEqual([
      'model      mobilebert, sequence-classification',
      'written by mbert 0.1.0',
      'inputs     input_ids i32[1, 16]',
    ]);
    expect(lines).toContain('vocabulary 1000 tokens, WordPiece, lower case');
    expect(lines).toContain('states     signature: serving_default');
    expect(lines).toContain('states     mbert.dtype: dynamic');
    expect(lines.join('\n')).toMatch(
      /^delegate {3}XNNPACK takes \d+ of \d+ operators in 1 partition; it leaves RESHAPE/m,
    );
    expect(lines.join('\n')).toMatch(/^ {11}[\d.]+ kB i8 per channel in \d+ weights$/m);
  });

  test('of an ONNX file', async () => {
    const out = await inspected(path('m.onnx'));
    expect(out).toMatch(/^<tmp>\/m.onnx: onnx, [\d.]+ kB\nmodel {6}mobilebert, sequence-classification\n/);
    expect(out).toContain('\nvocabulary none: texts need --vocab\n');
    expect(out).toMatch(/^delegate {3}ONNX Runtime runs (\d+) of \1 products with integers by the fastest kernels$/m);
    expect(out).toMatch(/^states {5}opset: 17$/m);
  });

  test('of a file of another program, which names it', async () => {
    expect(await inspected('fixtures/mini-onnx-qa/model.onnx')).toMatch(/^written by pytorch [\d.]+$/m);
  });
});

describe('inspect as JSON', () => {
  test('has inputs, nodes and weights by themselves', async () => {
    const { version, model, nodes, weights, text } = JSON.parse(await inspected(path('m.tflite'), '--json'));
    expect(version).toBe(1);
    expect(model.inputs[0]).toEqual({ name: 'input_ids', type: 'i32[1, 16]' });
    expect(model.delegate).toMatchObject({ delegate: 'xnnpack', partitions: 1 });
    const linear = nodes.find(({ name }: { name: string }) => name.endsWith('layer.0.attention.self.query+key'));
    expect(linear.weights.map((at: number) => weights[at].storage)).toEqual(['i8 per channel', 'f32']);
    expect(nodes[linear.inputs[0]].name).toBeTypeOf('string');
    expect(text).toMatch(/^graph /);
  });

  test('is not the graph as text', async () => {
    const { code, err } = await runCommand(folder, 'inspect', SOURCE, '--graph', '--format', 'json');
    expect({ code, err }).toEqual({
      code: 2,
      err: '--graph: is text\nhint: --json has the text as "text", and nodes and weights\n',
    });
  });
});
