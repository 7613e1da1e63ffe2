import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { PassContext } from '../../src/ir/pass.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { splitEmbedding, splitEmbeddings, tokenWeights } from '../../src/passes/split-embedding.ts';
import { graphOf } from '../core.ts';

const WORDS = `graph g (input_ids: i64[1, 40])
  words = gather(table f32[40, 12] #7, input_ids) {axis: 0}  f32[1, 40, 12]
  y = relu(words)  f32[1, 40, 12]
return out: y`;

const context = (more: Partial<PassContext> = {}): PassContext => ({ keeps: () => false, ...more });

/** What the node `words` gives for every token once, and how the pass did. */
function splitWords(more: Partial<PassContext>) {
  const ids = tensorOf(
    'i64',
    [1, 40],
    BigInt64Array.from({ length: 40 }, (_, i) => BigInt(i)),
  );
  const wordsOf = (graph: ReturnType<typeof graphOf>) => {
    const words = graph.nodes().filter(({ name }) => name === 'words');
    return readF32(evaluate(graph, new Map([['input_ids', ids]]), words).get('words') as Tensor);
  };
  const before = wordsOf(graphOf(WORDS));
  const graph = graphOf(WORDS);
  const report = splitEmbeddings(graph, context(more));
  verifyGraph(graph, splitEmbedding.name);
  return { graph, report, before, after: wordsOf(graph) };
}

const relativeError = (before: Float32Array, after: Float32Array, weights: Float64Array) => {
  let [error, power] = [0, 0];
  for (let i = 0; i < before.length; i++) {
    const weight = weights[Math.floor(i / 12)] as number;
    error += weight * ((before[i] as number) - (after[i] as number)) ** 2;
    power += weight * (before[i] as number) ** 2;
  }
  return Math.sqrt(error / power);
};

test('a wide table becomes a narrow one and a linear', async () => {
  const graph = graphOf(WORDS);
  await runPasses(graph, [splitEmbedding], context({ embeddingRank: 4 }));
  // Values are left to the tests below: the last digits of eigenvectors are the machine's.
  expect(graphText(graph).replaceAll(/#[0-9a-f]{8}/g, '#…')).toMatchInlineSnapshot(`
    "graph g (input_ids: i64[1, 40])
      words.narrow = gather(table f32[40, 4] #…, input_ids)  f32[1, 40, 4]
      words = linear(words.narrow, words.axes f32[12, 4] #…, words.mean f32[12] #…)  f32[1, 40, 12]
      y = relu(words)  f32[1, 40, 12]
    return out: y"
  `);
});

test('says by how much rows are off, weighted and with all alike', () => {
  const counts = Float64Array.from({ length: 40 }, (_, id) => (id < 10 ? 100 - 9 * id : 0));
  const { report, before, after } = splitWords({ embeddingRank: 5, tokenCounts: counts });
  const [split] = report.splits;
  expect(split).toMatchObject({ name: 'words', shape: [40, 12], rank: 5, numbersBefore: 480, numbersAfter: 272 });
  expect(split?.relativeError).toBeCloseTo(relativeError(before, after, tokenWeights(40, counts)), 5);
  expect(split?.uniformError).toBeCloseTo(relativeError(before, after, new Float64Array(40).fill(1)), 5);
});

test('spends its columns on the words that the text has', () => {
  const counts = new Float64Array(40).fill(0, 6).fill(50, 0, 6);
  const plain = splitWords({ embeddingRank: 5 });
  const weighted = splitWords({ embeddingRank: 5, tokenCounts: counts });
  const frequent = new Float64Array(40).fill(1, 0, 6);
  const errorOf = ({ before, after }: typeof plain) => relativeError(before, after, frequent);
  expect(errorOf(weighted)).toBeLessThan(0.1);
  expect(errorOf(plain)).toBeGreaterThan(0.4);
  expect(weighted.report.splits[0]?.uniformError).toBeGreaterThan(plain.report.splits[0]?.uniformError as number);
});

test('takes as few columns as keep a share of the energy', () => {
  const rankOf = (share: number) => splitWords({ embeddingRank: { share } }).report.splits[0]?.rank as number;
  const shares = [0.01, 0.3, 0.5, 0.6];
  const ranks = shares.map(rankOf);
  expect(ranks[0]).toBe(1);
  expect(ranks.toSorted((a, b) => a - b)).toEqual(ranks);
  const { report } = splitWords({ embeddingRank: { share: 0.6 } });
  // The mean row has energy, too, so less than 0.4 of all is lost.
  expect(report.splits[0]?.relativeError).toBeLessThan(Math.sqrt(0.4));
});

test.each([
  ['a table that is narrow already', WORDS, {}, /12 columns already, no more than the rank 128/],
  [
    'a rank that would take more room',
    WORDS,
    { embeddingRank: 10 },
    /rank 10 would have 532 numbers, the table has 480/,
  ],
  [
    'a table that a decoder reads as well',
    `graph g (input_ids: i64[1, 3])
  words = gather(table f32[40, 12] #7, input_ids) {axis: 0}  f32[1, 3, 12]
  scores = linear(words, table)  f32[1, 3, 40]
return out: scores`,
    { embeddingRank: 4 },
    /scores reads its table as well/,
  ],
  [
    'a table that a decoder has a copy of',
    `graph g (input_ids: i64[1, 3])
  words = gather(table f32[40, 12] #7, input_ids) {axis: 0}  f32[1, 3, 12]
  scores = linear(words, copy f32[40, 12] #7)  f32[1, 3, 40]
return out: scores`,
    { embeddingRank: 4 },
    /scores reads its table as well/,
  ],
])('declines %s', (_, text, more, reason) => {
  const graph = graphOf(text);
  const report = splitEmbeddings(graph, context(more));
  expect(report).toMatchObject({ rewrites: 0, splits: [] });
  expect(report.declined).toEqual([expect.stringMatching(reason)]);
  expect(graphText(graph)).toBe(graphText(graphOf(text)));
});

test.each([
  ['token types', WORDS.replaceAll('input_ids', 'token_type_ids'), {}],
  ['what --keep names', WORDS, { keeps: () => true }],
])('leaves %s alone', (_, text, more) => {
  const graph = graphOf(text);
  expect(splitEmbeddings(graph, context({ embeddingRank: 4, ...more }))).toMatchObject({ rewrites: 0, declined: [] });
});

test('tokens that the text lacks share what those have together that came once', () => {
  const weights = tokenWeights(6, Float64Array.of(6, 1, 1, 1));
  expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  expect((weights[4] as number) + (weights[5] as number)).toBeCloseTo(0.3, 12);
  expect((weights[0] as number) / (weights[1] as number)).toBeCloseTo(6, 12);
  expect(Array.from(tokenWeights(4, undefined))).toEqual([0.25, 0.25, 0.25, 0.25]);
});
