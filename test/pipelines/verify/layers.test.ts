import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { CommonShape } from '../../../src/pipelines/evaluate/running.ts';
import { compareLayers } from '../../../src/pipelines/verify/layers.ts';
import type { Side } from '../../../src/pipelines/verify/sides.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { graphOf } from '../../core.ts';
import { computed, useFakeRuntime } from '../fake-runtime.ts';
import { plainInputs } from './plain-inputs.ts';

const rowOf = (...inputIds: number[]): TokenRow => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) });

/** Word 0 is padding. */
const TABLE = [5, 5, 1, 0, 0, 1, 2, -1, -3, 3];

interface Made {
  readonly table?: readonly number[];
  /** What the second layer multiplies by. */
  readonly weight?: readonly number[];
  readonly input?: string;
  readonly more?: string;
}

/** Two layers over words of two channels. */
function model({ table = TABLE, weight = [2, 0, 0, 3], input = '1, 4', more = 'm.layer.1.sum' }: Made = {}): Graph {
  return graphOf(`graph g (input_ids: i64[${input}])
  words = gather(table f32[5, 2] {${table}}, input_ids)
  m.layer.0.act = tanh(words)
  m.layer.0.sum = add(m.layer.0.act, words)
  m.layer.1.dense = linear(m.layer.0.sum, w f32[2, 2] {${weight}})
  m.layer.1.sum = add(m.layer.1.dense, m.layer.0.sum)
return out: ${more}`);
}

function compare(reference: Graph, other: Graph, rows: readonly TokenRow[], shape: CommonShape = [1, 4]) {
  const side = (path: string, graph: Graph) => ({ path, graph }) as Side;
  const inputs = plainInputs(rows);
  return compareLayers(side('reference', reference), side('model', other), { shape, inputs, progress: () => {} });
}

/** The value with noise of so many decibels below it. */
function noisy(tensor: Tensor, decibels: number): Tensor {
  const values = readF32(tensor);
  const size =
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length) * 10 ** (-decibels / 20);
  const signs = [1, 1, -1, 1, -1, -1, 1, -1];
  return tensorOf(
    'f32',
    tensor.shape,
    values.map((value, i) => value + size * (signs[i % 8] as number)),
  );
}

const ROWS = [rowOf(1, 2), rowOf(3, 4, 1)];

test('values that are too many for a run are fetched in parts, of fewer rows', async () => {
  const rows = [4, 3, 2, 1, 4].map((id) => rowOf(id, 5 - id));
  const options = { shape: [1, 4], inputs: plainInputs(rows), progress: () => {} };
  const sides = [model(), model({ weight: [0, 2, 3, 0] })].map((graph, i) => ({ path: `${i}`, graph }) as Side);
  const [reference, other] = sides as [Side, Side];
  const whole = await compareLayers(reference, other, options);
  expect(whole).toMatchObject({ samples: 5, compared: 4, parting: { name: 'm.layer.1.dense' } });
  // Each value has 32 bytes.
  const halves = await compareLayers(reference, other, { ...options, partBytes: 64 });
  expect(halves).toMatchObject({ samples: 4, compared: 4, parting: { name: 'm.layer.1.dense' } });
  const single = await compareLayers(reference, other, { ...options, partBytes: 1 });
  expect(single).toMatchObject({ samples: 2, compared: 4, parting: { name: 'm.layer.1.dense' } });
});

describe('the values of two models', () => {
  test('are compared without what a mask hides, whatever number hides it', async () => {
    useFakeRuntime();
    const masked = (hidden: string, factor: number) =>
      graphOf(`graph g (input_ids: i64[1, 4], attention_mask: i64[1, 4])
  words = gather(table f32[5, 2] {${TABLE}}, input_ids)
  queries = mul(words, factor f32[] {${factor}})
  split = reshape(queries) {shape: [1, 4, 2, 1]}
  heads = transpose(split) {permutation: [0, 2, 1, 3]}
  scores = matmul(heads, heads) {transposeB: true}
  ones = cast(attention_mask) {to: f32}
  absent = sub(one f32[] {1}, ones)
  least = mul(absent, number f32[] {${hidden}})
  bias = reshape(least) {shape: [1, 1, 1, 4]}
  seen = add(scores, bias)
  shares = softmax(seen)
return out: shares`);
    expect(await compare(masked('-3e38', 1), masked('-10000', 1), ROWS)).toMatchObject({ parting: null });
    // Beside a number that large, scores that are off would count as equal.
    const found = await compare(masked('-3e38', 1), masked('-3e38', 1.2), ROWS);
    expect(found?.parting).toMatchObject({ name: 'seen', sqnrDb: expect.closeTo(-20 * Math.log10(1.2 ** 2 - 1), 3) });
    const leaked = await compare(masked('-3e38', 1), masked('-5', 1), ROWS);
    expect(leaked?.parting).toMatchObject({ name: 'least', sqnrDb: 0 });
  });

  test('that differ in padding only are equal', async () => {
    useFakeRuntime();
    const found = await compare(model(), model({ table: TABLE.with(0, -5).with(1, 77) }), ROWS);
    expect(found).toEqual({
      samples: 2,
      compared: 4,
      scale: 'as-is',
      layers: [
        { name: 'm.layer.0.sum', modelName: 'm.layer.0.sum', sqnrDb: null },
        { name: 'm.layer.1.sum', modelName: 'm.layer.1.sum', sqnrDb: null },
      ],
      parting: null,
    });
  });

  test('part where a value is far and what it is computed from is not', async () => {
    useFakeRuntime();
    const found = await compare(model(), model({ weight: [0, 2, 3, 0] }), ROWS);
    expect(found?.parting).toEqual({
      name: 'm.layer.1.dense',
      modelName: 'm.layer.1.dense',
      op: 'linear',
      sqnrDb: expect.any(Number),
      before: null,
    });
    expect(found?.layers.map(({ sqnrDb }) => sqnrDb === null)).toEqual([true, false]);
  });

  test('are near above 20 dB', async () => {
    useFakeRuntime();
    // Words [1, 0], [0, 1] and [1, 1] become [2, 0], [0, 2] and [2, 2]; `off` of the second channel comes into the first.
    const mixed = (off: number) =>
      graphOf(`graph g (input_ids: i64[1, 4])
  words = gather(table f32[4, 2] {0, 0, 1, 0, 0, 1, 1, 1}, input_ids)
  dense = linear(words, w f32[2, 2] {2, ${off}, 0, 2})
return out: dense`);
    const level = async (off: number) => (await compare(mixed(0), mixed(off), [rowOf(1, 2, 3)]))?.parting?.sqnrDb;
    expect(await level(0.29)).toBeCloseTo(10 * Math.log10(16 / (2 * 0.29 ** 2)), 4);
    expect(await level(0.27)).toBeUndefined();
  });

  test.each<[string, readonly number[], string, number]>([
    ['where one falls by ten', [24, 16, 4, 4], 'm.layer.1.dense', 16],
    ['where the first one is far, if none falls by ten', [24, 16, 8, 0], 'm.layer.0.sum', 24],
    ['at the first of several falls', [40, 40, 12, 0], 'm.layer.1.dense', 40],
  ])('part %s dB', async (_, levels, name, before) => {
    const fake = useFakeRuntime((file, feeds) => {
      const values = computed(file, feeds);
      if (file === fake.loaded[0]) return values;
      return new Map([...values].map(([key, tensor], i) => [key, noisy(tensor, levels[i] as number)]));
    });
    const found = await compare(model(), model(), [rowOf(1, 2, 3, 4)]);
    expect(found?.parting).toMatchObject({ name, before: expect.closeTo(before, 3) });
  });

  test('are no pair where one model computes a row for each token and the other one row', async () => {
    useFakeRuntime();
    // As a classifier's last layer, in rows: a student's last layer may have the name of one of the teacher's first.
    const rows = (end: number) =>
      graphOf(`graph g (input_ids: i64[1, 4])
  words = gather(table f32[5, 2] {${TABLE}}, input_ids)
  kept = slice(words) {axis: 1, end: ${end}}
  flat = reshape(kept) {shape: [${end}, 2]}
  m.layer.0.dense = linear(flat, w f32[2, 2] {2, 0, 0, 3})
  m.layer.0.sum = add(words, words)
return out: m.layer.0.dense, sums: m.layer.0.sum`);
    for (const [all, one] of [
      [4, 1],
      [1, 4],
    ] as const) {
      const found = await compare(rows(all), rows(one), ROWS);
      expect(found?.layers.map(({ name, sqnrDb }) => [name, sqnrDb])).toEqual([['m.layer.0.sum', null]]);
      expect(found?.parting).toBeNull();
    }
  });

  test('in other units are compared up to a factor and an offset for each channel', async () => {
    useFakeRuntime();
    // Where tanh is 0 and the table alone counts, a table in other units is all that differs.
    const plain = (table: readonly number[]) =>
      graphOf(`graph g (input_ids: i64[1, 4])
  words = gather(table f32[5, 2] {${table}}, input_ids)
  m.layer.0.sum = add(words, words)
  m.layer.1.sum = add(m.layer.0.sum, words)
return out: m.layer.1.sum`);
    const other = TABLE.map((value, i) => (i % 2 === 0 ? 4 * value : -value));
    const found = await compare(plain(TABLE), plain(other), ROWS);
    expect(found?.scale).toBe('up-to-scale');
    for (const { sqnrDb } of found?.layers ?? []) expect(sqnrDb ?? 120).toBeGreaterThan(100);
    expect(found?.parting).toBeNull();
  });

  test('without a row for each token are compared whole, each head of several', async () => {
    useFakeRuntime();
    // Two heads of one channel: the second one differs, the first does not.
    const heads = (second: number) =>
      graphOf(`graph g (input_ids: i64[1, 4])
  words = gather(table f32[5, 2] {${TABLE}}, input_ids)
  tokens = reshape(words) {shape: [4, 2, 1]}
  split = transpose(tokens) {permutation: [1, 0, 2]}
  scaled = mul(split, by f32[2, 1, 1] {2, ${second}})
return out: scaled`);
    const found = await compare(heads(3), heads(-3), [rowOf(1, 2, 3, 4)]);
    expect(found?.parting?.name).toBe('scaled');
  });

  test('of a batch are those of its first sequence', async () => {
    useFakeRuntime();
    const one = await compare(model(), model({ input: '2, 4' }), ROWS);
    expect(one?.layers.map(({ sqnrDb }) => sqnrDb)).toEqual([null, null]);
  });

  test('are looked at on eight rows', async () => {
    const fake = useFakeRuntime();
    const rows = Array.from({ length: 11 }, (_, i) => rowOf(...Array<number>(1 + (i % 4)).fill(2)));
    const found = await compare(model(), model(), rows);
    expect(found?.samples).toBe(8);
    for (const { feeds } of fake.loaded) expect(feeds).toHaveLength(8);
    expect(fake.open()).toBe(0);
  });

  test('that are none in common are not compared', async () => {
    useFakeRuntime();
    const other = graphOf(`graph g (input_ids: i64[1, 4])
  x = gather(table f32[5, 3] #1, input_ids)
  y = softmax(x)
return out: y`);
    expect(await compare(model(), other, ROWS)).toBeNull();
  });
});
