import { expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { transferLosses } from '../../../src/pipelines/evaluate/transfer.ts';
import { graphOf } from '../../core.ts';
import { useFakeRuntime } from '../fake-runtime.ts';

/**
 * Words are looked up, attend to each other by `scale` times the product of their channels, padding as well, and are added
 * to what they see.
 */
function model(scale: number, length: number | 'sequence'): Graph {
  return graphOf(`graph tiny (input_ids: i64[1, ${length}])
  x = gather(table f32[3, 2] {0.5, 0.25, 1, 0, 0, 1}, input_ids)
  products = matmul(x, x) {transposeB: true}
  scores = mul(products, scale f32[] {${scale}})
  heads = reshape(scores) {shape: [1, 1, ${length}, ${length}]}
  probabilities = softmax(heads)
  flat = reshape(probabilities) {shape: [1, ${length}, ${length}]}
  mixed = matmul(flat, x)
  y = add(mixed, x)
return hidden: y`);
}

/** Attention of the words 1 and 2 to themselves, to one another, and to one word of padding. */
function attention(scale: number, own: 1 | 2): [self: number, other: number] {
  const weights = [Math.exp(scale), 1, Math.exp(scale * (own === 1 ? 0.5 : 0.25))];
  const sum = weights.reduce((a, b) => a + b);
  return [(weights[0] as number) / sum, (weights[1] as number) / sum];
}

const ROWS = [{ inputIds: [1, 2], tokenTypeIds: [0, 0] }];
const MAP = [{ student: 0, teacher: 0 }];

test('attention to padding and of padding is no loss', async () => {
  useFakeRuntime();
  const options = { pad: 0, task: 'features' } as const;
  const { layers, tokens } = await transferLosses(model(1, 3), model(2, 3), ROWS, MAP, options);
  const term = (p: number, q: number) => p * Math.log(p / q) - p + q;
  const loss = ([1, 2] as const).reduce((sum, word) => {
    const [p, q] = [attention(1, word), attention(2, word)];
    return sum + term(p[0], q[0]) + term(p[1], q[1]);
  }, 0);
  expect(tokens).toBe(2);
  expect(layers[0]?.attentionKl).toEqual([expect.closeTo(loss / 2, 6)]);
});

test('a layer of which one model computes the first token alone is compared for that token', async () => {
  useFakeRuntime();
  const options = { pad: 0, task: 'features' } as const;
  const first = (scale: number) =>
    graphOf(`graph tiny (input_ids: i64[1, 3])
  x = gather(table f32[3, 2] {0.5, 0.25, 1, 0, 0, 1}, input_ids)
  cut = slice(x) {axis: 1, end: 1}
  products = matmul(cut, x) {transposeB: true}
  scores = mul(products, scale f32[] {${scale}})
  heads = reshape(scores) {shape: [1, 1, 1, 3]}
  probabilities = softmax(heads)
  flat = reshape(probabilities) {shape: [1, 1, 3]}
  mixed = matmul(flat, x)
  y = add(mixed, cut)
return hidden: y`);
  const term = (p: number, q: number) => p * Math.log(p / q) - p + q;
  const [p, q] = [attention(1, 1), attention(2, 1)];
  const loss = term(p[0], q[0]) + term(p[1], q[1]);
  for (const [teacher, student] of [
    [model(1, 3), first(2)],
    [first(1), model(2, 3)],
  ] as const) {
    const { layers } = await transferLosses(teacher, student, ROWS, MAP, options);
    expect(layers[0]?.attentionKl).toEqual([expect.closeTo(loss, 6)]);
    expect(layers[0]?.featureMapMse).toBeGreaterThan(0);
  }
});

test('feature maps are compared without the rows of padding', async () => {
  useFakeRuntime();
  const options = { pad: 0, task: 'features' } as const;
  const padded = await transferLosses(model(0, 3), model(0, 3), ROWS, MAP, options);
  // Every word sees a third of (0.5, 0.25), (1, 0) and (0, 1).
  const seen = [1.5 / 3, 1.25 / 3] as const;
  const power = ((1 + seen[0]) ** 2 + seen[1] ** 2 + seen[0] ** 2 + (1 + seen[1]) ** 2) / 4;
  expect(padded.layers[0]?.featureMapPower).toBeCloseTo(power, 6);
  expect(padded.layers[0]?.featureMapMse).toBe(0);
});

test('an attention that the student does not pay costs much, and is finite', async () => {
  useFakeRuntime();
  const options = { pad: 0, task: 'features' } as const;
  const { layers } = await transferLosses(model(0, 'sequence'), model(1000, 'sequence'), ROWS, MAP, options);
  const [loss = 0] = layers[0]?.attentionKl ?? [];
  // Half of it goes where the student has 0, which counts as 2^-126.
  expect(loss).toBeCloseTo(0.5 * Math.log(0.5 * 2 ** 126) + 0.5 * Math.log(0.5), 3);
});

test('both models are closed, and closed where one fails', async () => {
  const fake = useFakeRuntime();
  await transferLosses(model(0, 3), model(0, 3), ROWS, MAP, { pad: 0, task: 'features' });
  expect([fake.loaded.length, fake.open()]).toEqual([2, 0]);
  const broken = useFakeRuntime(() => {
    throw new Error('fails');
  });
  const attempt = transferLosses(model(0, 3), model(0, 3), ROWS, MAP, { pad: 0, task: 'features' });
  await expect(attempt).rejects.toThrow('fails');
  expect([broken.loaded.length, broken.open()]).toEqual([1, 0]);
});
