import { describe, expect, onTestFinished, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { integerTensor, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { sqnr } from '../../src/metrics/metrics.ts';
import { distanceTable } from '../../src/models/deberta-attention.ts';
import { buildModel } from '../../src/models/index.ts';
import { turnByBase } from '../../src/models/rotary.ts';
import { changed, openCheckpoint, zeros } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** Families that know places by distances, turns or windows. */
const PLACED = [
  'family-bert-relkey',
  'family-bert-relkeyquery',
  'family-deberta-v1-mlm',
  'family-deberta-v2-conv',
  'family-deberta-v2-own',
  'family-deberta-v2-plain',
  'family-gte-mlm',
  'family-modernbert-mean',
  'family-nomicbert-mlm',
  'family-roformer-mc',
];

describe('a length that is known', () => {
  async function outputsOf(name: string, length: number, sequenceLength: number | 'sequence'): Promise<Float32Array[]> {
    const checkpoint = await openCheckpoint(name);
    const { graph } = buildModel(checkpoint, { ...DYNAMIC, sequenceLength });
    const feeds = new Map<string, Tensor>();
    for (const input of graph.inputs) {
      const shape = input.type.shape.length === 3 ? [2, 2, length] : [2, length];
      const count = shape.reduce((product, size) => product * size, 1);
      // The last quarter of every second row is padding.
      const isPadding = (i: number) => Math.floor(i / length) % 2 === 1 && i % length >= Math.ceil(length * 0.75);
      const numbers = {
        input_ids: (i: number) => 3 + ((i * 7) % 50),
        attention_mask: (i: number) => (isPadding(i) ? 0 : 1),
      };
      const value = numbers[input.name as keyof typeof numbers] ?? ((i: number) => i % 2);
      feeds.set(
        input.name,
        integerTensor(
          'i64',
          Array.from({ length: count }, (_, i) => value(i)),
          shape,
        ),
      );
    }
    const results = [...evaluate(graph, feeds).values()];
    checkpoint.close();
    return results.map(readF32);
  }

  describe.each(PLACED)('of %s', (name) => {
    test.each([1, 2, 13, 24])('%i changes no result, padding included', async (length) => {
      const fixed = await outputsOf(name, length, length);
      const dynamic = await outputsOf(name, length, 'sequence');
      expect(fixed.length).toBe(dynamic.length);
      for (const [i, values] of fixed.entries()) expect(sqnr(dynamic[i] as Float32Array, values)).toBeGreaterThan(110);
    });
  });
});

describe('distances', () => {
  const rows = (distances: readonly number[], table: Parameters<typeof distanceTable>[0]) =>
    distances.map((distance) => distanceTable(table, 512).rowOf(distance));
  const table = { fromQueries: true, fromKeys: true, isNormed: false, isShared: false };

  // By transformers' make_log_bucket_position, from 0 on.
  test.each([
    [
      8,
      64,
      [-63, -20, -10, -5, -4, -1, 0, 1, 4, 5, 10, 11, 25, 26, 63],
      [1, 2, 3, 3, 4, 7, 8, 9, 12, 13, 13, 14, 14, 15, 15],
    ],
    [
      256,
      512,
      [-511, -129, 127, 128, 129, 131, 132, 180, 181, 257, 384, 511],
      [1, 127, 383, 384, 385, 387, 387, 416, 416, 448, 485, 511],
    ],
  ])('share %i buckets up to %i as torch rounds', (buckets, most, distances, expected) => {
    expect(rows(distances, { ...table, span: buckets, buckets, most })).toEqual(expected);
  });

  test('without buckets have a row each, up to the ends of the table', () => {
    const plain = { ...table, span: 4, buckets: undefined, most: 4 };
    expect(rows([-9, -4, -3, 0, 3, 4, 9], plain)).toEqual([0, 0, 1, 4, 7, 7, 7]);
  });
});

describe('turns', () => {
  // cos and sin of torch for position × 1 / base^(2 pair / 64) in f32: at place 8191 the angle's rounding shows.
  test.each([
    [8191, 0, -0.6463905, -0.7630068],
    [8191, 1, -0.9597157, 0.28097278],
    [8191, 5, -0.9573296, 0.28899843],
    [8191, 31, 0.9972301, 0.074378],
    [100, 3, 0.45241958, 0.8918052],
  ])('of place %i in pair %i are torch’s', (place, pair, cos, sin) => {
    const turned = turnByBase(160_000, 64)(place, pair);
    expect(turned[0]).toBeCloseTo(cos, 6);
    expect(turned[1]).toBeCloseTo(sin, 6);
  });

  test('of RoFormer are those of its table, made where a file has none', async () => {
    const checkpoint = await openCheckpoint('family-roformer-mlm');
    const tensors = new Map([...checkpoint.tensors].filter(([name]) => !name.endsWith('embed_positions.weight')));
    const { graph, warnings } = buildModel({ ...checkpoint, tensors }, { ...DYNAMIC, sequenceLength: 3 });
    expect(warnings).toEqual([]);
    const table = graph.nodes().find(({ name }) => name.endsWith('embed_positions.sin'));
    const values = table?.op === 'constant' ? readF32(table.tensor) : new Float32Array();
    // Heads of 8 channels: four pairs, sines negative in the first half.
    const row = [1, 0.1, 0.01, 0.001].map((angle) => Math.sin(angle));
    expect([...values.slice(8, 16)]).toEqual(
      [...row.map((sine) => -sine), ...row].map((sine) => expect.closeTo(sine, 6)),
    );
    checkpoint.close();
  });
});

describe('local attention', () => {
  async function maskAt(sequenceLength: number): Promise<Float32Array | undefined> {
    const checkpoint = await openCheckpoint('family-modernbert-seqcls');
    const { graph } = buildModel(checkpoint, { ...DYNAMIC, batch: 1, sequenceLength });
    onTestFinished(() => checkpoint.close());
    const bias = graph.nodes().find(({ name }) => name.endsWith('sliding_attention.mask.bias'));
    if (bias === undefined) return undefined;
    const ids = integerTensor('i64', new Array(sequenceLength).fill(3), [1, sequenceLength]);
    const ones = Array.from({ length: sequenceLength }, (_, i) => (i < sequenceLength - 2 ? 1 : 0));
    const mask = integerTensor('i64', ones, [1, sequenceLength]);
    const feeds = new Map<string, Tensor>([
      ['input_ids', ids],
      ['attention_mask', mask],
    ]);
    return readF32(evaluate(graph, feeds, [bias]).get(bias.name) as Tensor);
  }

  test('sees half of the window to each side, and no padding but itself', async () => {
    const mask = (await maskAt(20)) ?? new Float32Array();
    const sees = (i: number) => Array.from({ length: 20 }, (_, j) => j).filter((j) => mask[i * 20 + j] === 0);
    expect([...new Set(mask)].map(Math.abs).sort()).toEqual([0, 10000]);
    expect(sees(0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(sees(10)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    expect(sees(19)).toEqual([11, 12, 13, 14, 15, 16, 17, 19]);
  });

  test('needs no mask of its own where the text is no longer than a window', async () => {
    expect(await maskAt(9)).toBeUndefined();
    expect(await maskAt(10)).toBeDefined();
  });
});

test('multiple choice of ModernBERT reads the first token behind padding, which is on the left or in between too', async () => {
  const checkpoint = await openCheckpoint('family-modernbert-seqcls');
  onTestFinished(() => checkpoint.close());
  const classifier = tensorOf(
    'f32',
    [1, 32],
    Float32Array.from({ length: 32 }, (_, i) => Math.cos(i)),
  );
  const scored = changed(
    checkpoint,
    { 'classifier.weight': classifier, 'classifier.bias': zeros([1]) },
    { classifier_pooling: 'cls' },
  );
  const { graph } = buildModel(scored, { ...DYNAMIC, task: 'multiple-choice' });
  const padded = (ids: readonly number[]) => ({ ids, mask: ids.map((id) => (id === 0 ? 0 : 1)) });
  // Turns and windows know distances alone, so that a text may begin anywhere.
  const choices = [padded([5, 6, 7, 8, 0, 0]), padded([0, 0, 5, 6, 7, 8]), padded([0, 5, 6, 7, 8, 0])];
  const logits = evaluate(
    graph,
    new Map(
      (['ids', 'mask'] as const).map((part) => [
        part === 'ids' ? 'input_ids' : 'attention_mask',
        integerTensor(
          'i64',
          choices.flatMap((choice) => choice[part]),
          [1, 3, 6],
        ),
      ]),
    ),
  ).get('logits');
  const [right = 0, left, between] = readF32(logits as Tensor);
  expect(right).not.toBeCloseTo(0, 2);
  expect([left, between]).toEqual([expect.closeTo(right, 4), expect.closeTo(right, 4)]);
});
