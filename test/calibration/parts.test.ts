import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cutGraph } from '../../src/calibration/cut-graph.ts';
import { loadOnnxModel, modelOf, sampleFeeds, tokenInputsOf } from '../../src/calibration/graph-session.ts';
import { StreamingHistogram } from '../../src/calibration/histogram.ts';
import { openProducts } from '../../src/calibration/products.ts';
import { openScorePairs } from '../../src/calibration/score-pairs.ts';
import { collectStatistics } from '../../src/calibration/statistics.ts';
import { batchesOf } from '../../src/calibration/token-batches.ts';
import { openRuns } from '../../src/calibration/token-runs.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import type { BatchValues } from '../../src/ir/text-runs.ts';
import type { TokenRow } from '../../src/samples/feeds.ts';
import { graphOf } from '../core.ts';
import { useFakeRuntime } from '../pipelines/fake-runtime.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();
const scratch = join(folder, 'tmp');
beforeEach(() => {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
  vi.stubEnv('TMPDIR', scratch);
});
afterEach(() => {
  vi.unstubAllEnvs();
  // ONNX Runtime leaves files of its own.
  expect(readdirSync(scratch).filter((name) => name.startsWith('mbert'))).toEqual([]);
});

const rowOf = (...inputIds: number[]): TokenRow => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) });
const ofLength = (length: number, id = 1) => rowOf(...Array<number>(length).fill(id));
const ids = (feeds: ReadonlyMap<string, Tensor>) => readIntegers(feeds.get('input_ids') as Tensor);
const nodeOf = (graph: Graph, name: string) => graph.nodes().find((node) => node.name === name) as Node;

const lookUp = (shape = 'batch, sequence') =>
  graphOf(`graph g (input_ids: i64[${shape}])
  words = gather(table f32[9, 2] #1, input_ids)
  double = add(words, words)
return y: double`);

describe('a histogram', () => {
  const filled = (histogram: StreamingHistogram) => {
    const { limit, counts } = histogram.result();
    const width = (2 * limit) / counts.length;
    return { limit, bins: [...counts].flatMap((count, i) => (count > 0 ? [[i * width - limit, count]] : [])) };
  };

  test('doubles its range as larger values come, and keeps what it has counted where it was', () => {
    const histogram = new StreamingHistogram();
    histogram.add(Float32Array.of(0.75, -0.5, 0, 2 ** -12));
    expect(filled(histogram)).toEqual({
      limit: 1,
      bins: [
        [-0.5, 1],
        [0, 1],
        [2 ** -12, 1],
        [0.75, 1],
      ],
    });
    histogram.add(Float32Array.of(-8, 0.75));
    expect(filled(histogram)).toEqual({
      limit: 16,
      bins: [
        [-8, 1],
        [-0.5, 1],
        [0, 2],
        [0.75, 2],
      ],
    });
  });

  test('holds a power of two in the bin above it', () => {
    const histogram = new StreamingHistogram();
    histogram.add(Float32Array.of(1, -1));
    expect(filled(histogram)).toEqual({
      limit: 2,
      bins: [
        [-1, 1],
        [1, 1],
      ],
    });
  });

  test('of zeros is finite', () => {
    const histogram = new StreamingHistogram();
    histogram.add(new Float32Array(5));
    const { limit, bins } = filled(histogram);
    expect(limit).toBeGreaterThan(0);
    expect(bins).toEqual([[0, 5]]);
  });
});

describe('batches of a text', () => {
  const batches = (shape: string, rows: readonly TokenRow[]) =>
    batchesOf(tokenInputsOf(lookUp(shape)), rows, { pad: 7 });

  test('hold sequences of one length, and every fifth of the text is not fitted to', () => {
    const lengths = [3, 2, 3, 2, 4, 2, 3, 3, 2, 2];
    const {
      batches: found,
      fitted,
      tokens,
      isFull,
    } = batches(
      'batch, sequence',
      lengths.map((length) => ofLength(length)),
    );
    expect(found.map(({ sequences, valid }) => [valid, ...sequences])).toEqual([
      [2, 1, 3, 5, 8],
      [3, 0, 2, 6, 7],
      [2, 9],
      [4, 4],
    ]);
    expect({ fitted, tokens, isFull }).toEqual({ fitted: 2, tokens: 26, isFull: true });
    expect(found.map(({ feeds }) => (feeds.get('input_ids') as Tensor).shape)).toEqual([
      [4, 2],
      [4, 3],
      [1, 2],
      [1, 4],
    ]);
  });

  test('hold 2048 tokens at most, one sequence at least', () => {
    const many = batches('batch, sequence', Array(30).fill(ofLength(200)));
    expect(many.batches.map(({ sequences }) => sequences.length)).toEqual([10, 10, 4, 6]);
    const long = batches('batch, sequence', [ofLength(3000), ofLength(3000)]);
    expect(long.batches.map(({ sequences }) => sequences.length)).toEqual([1, 1]);
  });

  test('are padded to a fixed length, and filled up with their first sequence', () => {
    const { batches: found, isFull } = batches('3, 4', [rowOf(1, 2), rowOf(3, 4), rowOf(5, 6, 8)]);
    expect(found.map(({ sequences }) => sequences)).toEqual([[0, 1], [2]]);
    expect(found.map(({ feeds }) => ids(feeds))).toEqual([
      [1, 2, 7, 7, 3, 4, 7, 7, 1, 2, 7, 7],
      [5, 6, 8, 7, 5, 6, 8, 7, 5, 6, 8, 7],
    ]);
    expect(isFull).toBe(false);
  });

  test('are none for a model of several sequences', () => {
    expect(() => batches('batch, choices, sequence', [ofLength(2)])).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
  });
});

describe('token inputs', () => {
  test('have a batch of as many sequences as are fixed', () => {
    expect(tokenInputsOf(lookUp('batch, choices, sequence'))).toMatchObject({
      batch: 1,
      symbols: { batch: 1, choices: 1 },
    });
    expect(tokenInputsOf(lookUp('2, 3, sequence'))).toMatchObject({ batch: 6, symbols: {}, names: ['input_ids'] });
    expect(tokenInputsOf(lookUp('3*batch, 8'))).toMatchObject({ batch: 3, symbols: { batch: 1 } });
  });

  test('are fed with one sequence, in every row of a batch', () => {
    const feeds = sampleFeeds(tokenInputsOf(lookUp('2, sequence')), rowOf(4, 5), 3, 7);
    expect(ids(feeds)).toEqual([4, 5, 7, 4, 5, 7]);
    expect([...feeds.keys()]).toEqual(['input_ids']);
  });

  test.each([
    ['of another name', 'input_ids: i64[1, 4], positions: i64[1, 4]', 'positions'],
    ['of another shape', 'input_ids: i64[1, 4], attention_mask: i64[1, 8]', 'attention_mask'],
    ['of another type', 'input_ids: i64[1, 4], attention_mask: i32[1, 4]', 'attention_mask'],
    ['of one axis', 'input_ids: i64[4]', 'input_ids'],
    ['of floats', 'input_ids: f32[1, 4]', 'undefined'],
  ])('%s are refused', (_, inputs, name) => {
    const graph = graphOf(`graph g (${inputs})\n  x = gather(t f32[9, 2] #1, at i64[1] {0})\nreturn y: x`);
    expect(() => tokenInputsOf(graph)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: `g: input ${name}: is no token sequence` }),
    );
  });
});

describe('a part of a graph', () => {
  const graph = graphOf(`graph g (input_ids: i64[1, 4])
  a = gather(t f32[9, 2] #1, input_ids)
  b = relu(a)
  c = tanh(b)
  d = add(c, a)
return y: d`);

  test('begins at what is known, and keeps the inputs', () => {
    const { part, from } = cutGraph(graph, [nodeOf(graph, 'd')], new Set([nodeOf(graph, 'b')]));
    expect(graphText(part).replace(/#\w+/, '#')).toMatchInlineSnapshot(`
      "graph g (input_ids: i64[1, 4], b: f32[1, 4, 2])
        c = tanh(b)  f32[1, 4, 2]
        a = gather(t f32[9, 2] #, input_ids)  f32[1, 4, 2]
        d = add(c, a)  f32[1, 4, 2]
      return d: d"
    `);
    expect([...from]).toEqual([['b', nodeOf(graph, 'b')]]);
  });

  test('leaves out what nobody wants', () => {
    const { part } = cutGraph(graph, [nodeOf(graph, 'c'), nodeOf(graph, 'b')], new Set());
    expect(part.outputs.map(({ name }) => name)).toEqual(['c', 'b']);
    expect(part.nodes().map(({ name }) => name)).not.toContain('d');
  });
});

describe('temporary models', () => {
  const graph = lookUp();
  const model = () => modelOf(graph, [nodeOf(graph, 'double')]);

  test('are gone when they are closed, once or twice', async () => {
    const fake = useFakeRuntime();
    const session = await loadOnnxModel(model(), 2);
    expect(readdirSync(scratch)).toHaveLength(1);
    await session.close();
    await session.close();
    expect(fake.open()).toBe(0);
    expect(fake.loaded[0]?.options).toEqual({ name: 'g', spinning: false, threads: 2, graphOptimization: true });
  });

  test('are gone where they cannot be loaded', async () => {
    useFakeRuntime(undefined, () => {
      throw new Error('refused');
    });
    await expect(loadOnnxModel(model())).rejects.toThrow('refused');
  });

  test.each<[string, () => Promise<unknown>]>([
    [
      'statistics',
      () => collectStatistics(graph, [{ node: nodeOf(graph, 'words'), gram: true }], [ofLength(2)], { pad: 0 }),
    ],
    ['products', () => openProducts(1)],
    ['runs', () => openRuns(lookUp(), [ofLength(2)], { pad: 0 })],
    [
      'pairs',
      () => {
        const q = { values: new Float32Array(4), rows: 2, columns: 2 };
        const heads = { q, k: q, heads: 1, scale: 1 };
        return openScorePairs(heads, heads, [], 1);
      },
    ],
  ])('that %s need are closed where the second one cannot be loaded', async (_, open) => {
    const fake = useFakeRuntime(undefined, () => {
      if (fake.loaded.length === 2) throw new Error('refused');
    });
    await expect(open()).rejects.toThrow('refused');
    expect(fake.loaded).toHaveLength(2);
    expect(fake.open()).toBe(0);
  });
});

describe('more rows than are worked on at once', () => {
  test('are multiplied in pieces, none twice and none left out', async () => {
    const products = await openProducts(1);
    const rows = 4096 + 4096 + 1;
    const a = { values: new Float32Array(rows).fill(1), rows, columns: 1, mean: Float32Array.of(-1) };
    const b = { values: Float32Array.from({ length: 2 * rows }, (_, i) => i % 2), rows, columns: 2 };
    expect([...(await products.product(a, b))]).toEqual([0, 2 * rows]);
    await products.close();
  });

  test('are computed in pieces of tokens', async () => {
    const graph = lookUp();
    const rows = Array.from({ length: 46 }, (_, i) => ofLength(100, i % 9));
    const runs = await openRuns(graph, rows, { pad: 0, threads: 1 });
    const words = nodeOf(graph, 'words');
    const known = await runs.compute(graph, [words], new Map());
    const found = await runs.compute(graph, [nodeOf(graph, 'double')], known);
    const matrix = runs.matrixOf(found.get(nodeOf(graph, 'double')) as BatchValues);
    expect(matrix.rows).toBe(4600);
    const halves = runs.matrixOf(known.get(words) as BatchValues).values.map((value) => 2 * value);
    expect(matrix.values).toEqual(halves);
    expect(found.get(nodeOf(graph, 'double'))?.batches.map(({ shape }) => shape[0])).toEqual([20, 17, 9]);
    await runs.close();
  });
});
