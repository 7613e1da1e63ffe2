import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { parseGraph } from '../../../src/ir/text.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { encoderLayers } from '../../../src/pipelines/evaluate/encoder-layers.ts';
import { transferLosses } from '../../../src/pipelines/evaluate/transfer.ts';
import { unpacked } from '../../unpacked.ts';

const ROWS = [
  { inputIds: [2, 7, 9, 3], tokenTypeIds: [0, 0, 0, 0] },
  { inputIds: [2, 4, 3], tokenTypeIds: [0, 0, 0] },
];
const OPTIONS = { pad: 0, task: 'sequence-classification' } as const;

async function graphOf(path: string): Promise<Graph> {
  const model = await openModel(unpacked(path));
  return model.reference();
}

describe('layers are found', () => {
  test.each([
    ['fixtures/hf-seqcls', 2, 'mobilebert.encoder.layer.1.output.bottleneck.LayerNorm'],
    ['fixtures/hf-qa-nobottleneck', 2, 'mobilebert.encoder.layer.1.output.LayerNorm'],
    ['fixtures/bert-mlm', 2, 'bert.encoder.layer.1.output.LayerNorm'],
    ['fixtures/distilbert-qa', 2, 'distilbert.transformer.layer.1.output_layer_norm'],
    ['fixtures/family-albert-seqcls', 3, 'albert.encoder.layer.2.full_layer_layer_norm'],
    ['fixtures/family-mpnet-base', 2, 'encoder.layer.1.output.LayerNorm'],
    ['fixtures/family-megatron-seqcls', 2, 'bert.encoder.ln'],
    ['fixtures/tf1-ibbert-teacher-pretrain', 2, 'mobilebert.encoder.layer.1.output.bottleneck.LayerNorm'],
  ])('%s has %i', async (path, count, last) => {
    const layers = encoderLayers(await graphOf(path), path);
    expect(layers).toHaveLength(count);
    expect(layers.at(-1)?.output.name).toBe(last);
  });

  test.each([
    'fixtures/onnx-qa-ts',
    'fixtures/onnx-qa-dynamo',
    'fixtures/tflite-qa-float32',
    'fixtures/tflite-qa-int8',
  ])('graphs of other tools have them as well: %s', async (path) => {
    const layers = encoderLayers(await graphOf(path), path);
    expect(layers.map(({ output }) => output.type.shape.at(-1))).toEqual([64, 64]);
  });

  test('a graph without attention is refused', () => {
    const graph = parseGraph('graph g (x: f32[4])\n  y = relu(x)\nreturn out: y');
    expect(() => encoderLayers(graph, 'g.onnx')).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: 'g.onnx: has no attention: no softmax that a matmul reads',
      }),
    );
  });
});

/**
 * One layer over f32 inputs is no token model, so ids look up rows of a table: two channels, one head whose scores are
 * the channels' products, and a sum of what attention brings and the table's row.
 */
function tinyModel(table: readonly number[], scale: number): Graph {
  return parseGraph(`graph tiny (input_ids: i64[1, sequence])
  x = gather(table f32[10, 2] {${table}}, input_ids)
  products = matmul(x, x) {transposeB: true}
  scores = mul(products, scale f32[] {${scale}})
  heads = reshape(scores) {shape: [1, 1, sequence, sequence]}
  probabilities = softmax(heads)
  flat = reshape(probabilities) {shape: [1, sequence, sequence]}
  mixed = matmul(flat, x)
  y = add(mixed, x)
  first = slice(y) {axis: 1, end: 1}
  logits = reshape(first) {shape: [1, 2]}
return logits: logits`);
}

describe('losses', () => {
  test('equal models lose nothing', async () => {
    const graph = await graphOf('fixtures/hf-seqcls');
    const map = [
      { student: 0, teacher: 0 },
      { student: 1, teacher: 1 },
    ];
    const { layers, logitsKl, samples, tokens } = await transferLosses(graph, graph, ROWS, map, OPTIONS);
    expect({ samples, tokens }).toEqual({ samples: 2, tokens: 7 });
    expect(logitsKl).toBeCloseTo(0, 12);
    for (const { featureMapMse, featureMapPower, attentionKl } of layers) {
      expect(featureMapMse).toBe(0);
      expect(featureMapPower).toBeGreaterThan(0);
      expect(attentionKl).toHaveLength(4);
      for (const value of attentionKl) expect(value).toBeCloseTo(0, 9);
    }
  });

  test('padding does not count', async () => {
    const [teacher, student] = [await graphOf('fixtures/bert-seqcls'), await graphOf('fixtures/bert-seqcls-relu')];
    const map = [{ student: 0, teacher: 0 }];
    const plain = await transferLosses(teacher, student, ROWS, map, OPTIONS);
    const padded = await transferLosses(teacher, student, ROWS, map, { ...OPTIONS, length: 9 });
    expect(plain.layers[0]?.featureMapMse).toBeGreaterThan(0);
    expect(padded.tokens).toBe(plain.tokens);
    expect(padded.layers[0]?.featureMapMse).toBeCloseTo(plain.layers[0]?.featureMapMse as number, 6);
    padded.layers[0]?.attentionKl.forEach((value, head) => {
      expect(value).toBeCloseTo(plain.layers[0]?.attentionKl[head] as number, 6);
    });
  });

  test('the numbers are those of the paper', async () => {
    // Rows 1 and 2 of the table are (1, 0) and (0, 1); both models attend to them by exp(1) : 1 or exp(2) : 1.
    const table = [0, 0, 1, 0, 0, 1, ...new Array<number>(14).fill(0)];
    const losses = await transferLosses(
      tinyModel(table, 1),
      tinyModel(table, 2),
      [{ inputIds: [1, 2], tokenTypeIds: [0, 0] }],
      [{ student: 0, teacher: 0 }],
      OPTIONS,
    );
    const [p, q] = [Math.E / (Math.E + 1), Math.E ** 2 / (Math.E ** 2 + 1)];
    const kl = p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
    // Feature maps: (1 + p, 1 - p) and its mirror image.
    const [layer] = losses.layers;
    expect(layer?.attentionKl).toEqual([expect.closeTo(kl, 6)]);
    expect(layer?.featureMapMse).toBeCloseTo((p - q) ** 2, 6);
    expect(layer?.featureMapPower).toBeCloseTo(((1 + p) ** 2 + (1 - p) ** 2) / 2, 6);
    // softmax of (1 + p, 1 - p): a difference of 2 p.
    const [a, b] = [1 / (1 + Math.exp(-2 * p)), 1 / (1 + Math.exp(-2 * q))];
    expect(losses.logitsKl).toBeCloseTo(a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b)), 6);
  });

  test('layers of other widths and heads are refused', async () => {
    const [a, b] = [await graphOf('fixtures/hf-seqcls'), await graphOf('fixtures/bert-seqcls')];
    await expect(transferLosses(a, b, ROWS, [{ student: 0, teacher: 0 }], OPTIONS)).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringMatching(/layer 0 of student and layer 0 of teacher: have \d+ and \d+ channels/),
    });
    await expect(transferLosses(a, a, ROWS, [{ student: 2, teacher: 0 }], OPTIONS)).rejects.toMatchObject({
      code: 'MISMATCH',
      message: 'layer 2 of student and layer 0 of teacher: they have 2 and 2 layers',
    });
  });
});
