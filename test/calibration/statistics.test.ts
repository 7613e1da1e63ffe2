import { afterAll, describe, expect, test } from 'vitest';
import { collectStatistics } from '../../src/calibration/statistics.ts';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import type { NodeStatistics } from '../../src/ir/statistics.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { buildModel } from '../../src/models/index.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { feedsOf, type TokenRow } from '../../src/samples/feeds.ts';
import { graphOf } from '../core.ts';
import { openCheckpoint } from '../models/corpus.ts';

const checkpoint: Checkpoint = await openCheckpoint('mini-qa');
afterAll(() => checkpoint.close());

const PAD = 0;
const ROWS: readonly TokenRow[] = [
  { inputIds: [2, 17, 5, 99, 3], tokenTypeIds: [0, 0, 0, 1, 1] },
  { inputIds: [2, 44, 12, 13, 9, 3], tokenTypeIds: [0, 0, 0, 0, 0, 0] },
  { inputIds: [2, 17, 60, 61, 62, 88, 7, 6, 5, 3], tokenTypeIds: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1] },
];

interface Shape {
  readonly batch: number | 'batch';
  readonly sequenceLength: number | 'sequence';
}

async function graphWith({ batch, sequenceLength }: Shape, target: 'onnx' | 'tflite' = 'onnx'): Promise<Graph> {
  const indexType = target === 'onnx' ? 'i64' : 'i32';
  const { graph } = buildModel(checkpoint, { task: 'qa', batch, sequenceLength, choices: 'choices', indexType });
  await runPasses(graph, selectPasses(undefined, target));
  return graph;
}

/** The computed floats. */
function valuesOf(graph: Graph): Node[] {
  return graph.nodes().filter(({ op, type }) => op !== 'input' && op !== 'constant' && type.dtype === 'f32');
}

/** Numbers of an axis that stand for tokens: flat ones, or those of scores, which have two such axes. */
function validPart(value: Tensor, fed: number, valid: number): number[] {
  const [shape, values] = [value.shape, readF32(value)];
  return [...values].filter((_, i) => {
    let rest = i;
    for (const size of shape.toReversed()) {
      if (size === fed && rest % size >= valid) return false;
      rest = Math.floor(rest / size);
    }
    return true;
  });
}

/** What the reference evaluator computes for all rows, without padding. `fed` must be no other size of the model. */
function referenceOf(graph: Graph, node: Node, fedLength: (row: TokenRow) => number): number[] {
  return ROWS.flatMap((row) => {
    const fed = fedLength(row);
    const dtype = graph.inputs[0]?.type.dtype as 'i32' | 'i64';
    const feeds = feedsOf([row], { dtype, shape: [1, fed], pad: PAD });
    const value = evaluate(graph, feeds, [node]).get(node.name) as Tensor;
    return validPart(value, fed, row.inputIds.length);
  });
}

function expectSame(found: NodeStatistics | undefined, values: readonly number[]): void {
  const mean = values.reduce((a, b) => a + b) / values.length;
  const rms = Math.hypot(...values) / Math.sqrt(values.length);
  expect(found?.min).toBeCloseTo(Math.min(...values), 4);
  expect(found?.max).toBeCloseTo(Math.max(...values), 4);
  expect(found?.mean).toBeCloseTo(mean, 4);
  expect(found?.rms).toBeCloseTo(rms, 4);
}

describe('collectStatistics looks at valid tokens only', () => {
  const rows: [string, Shape, 'onnx' | 'tflite', number | undefined, (row: TokenRow) => number][] = [
    [
      'unpadded in a dynamic model',
      { batch: 1, sequenceLength: 'sequence' },
      'onnx',
      undefined,
      (row) => row.inputIds.length,
    ],
    [
      'with one token of padding behind',
      { batch: 1, sequenceLength: 'sequence' },
      'onnx',
      29,
      (row) => row.inputIds.length + 1,
    ],
    ['in a model of fixed length', { batch: 1, sequenceLength: 29 }, 'onnx', undefined, () => 29],
    ['in a TFLite graph', { batch: 1, sequenceLength: 29 }, 'tflite', undefined, () => 29],
    [
      'with symbolic batch',
      { batch: 'batch', sequenceLength: 'sequence' },
      'onnx',
      undefined,
      (row) => row.inputIds.length,
    ],
  ];
  test.each(rows)('%s', async (_, shape, target, length, fedLength) => {
    const graph = await graphWith(shape, target);
    const nodes = valuesOf(graph);
    const found = await collectStatistics(
      graph,
      nodes.map((node) => ({ node })),
      ROWS,
      { pad: PAD, threads: 1, ...(length !== undefined && { length }) },
    );
    expect(nodes.length).toBeGreaterThan(100);
    for (const node of nodes) expectSame(found.get(node.name), referenceOf(graph, node, fedLength));
  });

  test('in a batch whose other rows are copies', async () => {
    const [one, four] = [
      await graphWith({ batch: 1, sequenceLength: 29 }),
      await graphWith({ batch: 4, sequenceLength: 29 }),
    ];
    const [alone, together] = await Promise.all(
      [one, four].map((graph) =>
        collectStatistics(
          graph,
          valuesOf(graph).map((node) => ({ node })),
          ROWS,
          { pad: PAD, threads: 1 },
        ),
      ),
    );
    expect([...(together?.keys() ?? [])]).toEqual([...(alone?.keys() ?? [])]);
    for (const [name, statistics] of alone ?? []) {
      expect(together?.get(name)?.rows).toBe(statistics.rows);
      expect(together?.get(name)?.max).toBeCloseTo(statistics.max, 5);
      expect(together?.get(name)?.mean).toBeCloseTo(statistics.mean, 5);
    }
  });
});

describe('collectStatistics gives', () => {
  const OPTIONS = { pad: PAD, threads: 1 };

  /** An embedding and nothing else: every number can be told from the table. */
  const table = () =>
    graphOf(`graph table (input_ids: i64[1, sequence])
  e = gather(t f32[6, 2] {0, 0, 1, -2, 3, 4, -5, 6, 7, 8, 0.5, -0.25}, input_ids)
return e: e`);
  const sample = (...inputIds: number[]): TokenRow => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) });

  test('ranges, means and rms per channel, and the number of tokens', async () => {
    const graph = table();
    const [node] = valuesOf(graph) as [Node];
    const found = await collectStatistics(graph, [{ node, channels: true }], [sample(1, 2), sample(3)], OPTIONS);
    expect(found.get('e')).toEqual({
      rows: 3,
      min: -5,
      max: 6,
      mean: 7 / 6,
      rms: Math.sqrt(91 / 6),
      channels: {
        min: Float64Array.of(-5, -2),
        max: Float64Array.of(3, 6),
        mean: Float64Array.of(-1 / 3, 8 / 3),
        rms: Float64Array.of(Math.sqrt(35 / 3), Math.sqrt(56 / 3)),
      },
    });
  });

  test('a histogram that does not depend on the order', async () => {
    const graph = table();
    const [node] = valuesOf(graph) as [Node];
    const samples = [sample(5, 5), sample(1, 2), sample(3)];
    const [there, back] = await Promise.all(
      [samples, samples.toReversed()].map((rows) =>
        collectStatistics(graph, [{ node, histogram: true }], rows, OPTIONS),
      ),
    );
    const { limit, counts } = there?.get('e')?.histogram ?? { limit: 0, counts: new Float64Array() };
    expect(there?.get('e')?.histogram).toEqual(back?.get('e')?.histogram);
    expect(limit).toBe(8);
    const width = (2 * limit) / counts.length;
    const filled = [...counts].flatMap((count, i) => (count > 0 ? [[i * width - limit, count]] : []));
    expect(filled).toEqual([
      [-5, 1],
      [-2, 1],
      [-0.25, 2],
      [0.5, 2],
      [1, 1],
      [3, 1],
      [4, 1],
      [6, 1],
    ]);
  });

  test('XᵀX and sums over more rows than are multiplied at once', async () => {
    const graph = table();
    const [node] = valuesOf(graph) as [Node];
    const rows = new Array<TokenRow>(300).fill(sample(1, 2, 3));
    const found = await collectStatistics(graph, [{ node, gram: true }], rows, OPTIONS);
    expect(found.get('e')?.gram).toEqual({
      size: 2,
      rows: 900,
      products: Float64Array.of(300 * 35, 300 * (-2 + 12 - 30), 300 * (-2 + 12 - 30), 300 * 56),
      sums: Float64Array.of(-300, 2400),
    });
  });

  test('progress after each sample', async () => {
    const graph = table();
    const [node] = valuesOf(graph) as [Node];
    const seen: string[] = [];
    const progress = (done: number, total: number) => seen.push(`${done}/${total}`);
    await collectStatistics(graph, [{ node }], [sample(1), sample(2)], { ...OPTIONS, progress });
    expect(seen).toEqual(['1/2', '2/2']);
  });
});

describe('collectStatistics refuses', () => {
  const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  e = gather(t f32[3, 1] {0, 1, 3e38}, input_ids)
  d = add(e, e)
return d: d`);
  const [e, d] = valuesOf(graph) as [Node, Node];
  const ids = graph.inputs[0] as Node;
  const sample = (...inputIds: number[]): TokenRow => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) });
  const collect = (node: Node, samples: readonly TokenRow[]) =>
    collectStatistics(graph, [{ node }], samples, { pad: 0, threads: 1 });

  test.each<[string, () => Promise<unknown>, string, string]>([
    ['no samples', () => collect(e, []), 'USAGE', 'g: calibration: has no samples'],
    ['integers', () => collect(ids, [sample(1)]), 'UNSUPPORTED', 'input_ids: statistics of i64[1, sequence]'],
    [
      'values that overflow, with the sample',
      () => collect(d, [sample(0, 1), sample(2)]),
      'MISMATCH',
      'd: sample 2: its values are infinite or not numbers',
    ],
    [
      'a graph that takes no tokens',
      () => {
        const other = graphOf('graph h (x: f32[1, 2])\n  y = relu(x)\nreturn y: y');
        return collectStatistics(other, [{ node: valuesOf(other)[0] as Node }], [sample(1)], { pad: 0 });
      },
      'UNSUPPORTED',
      'h: input x: is no token sequence',
    ],
  ])('%s', async (_, run, code, message) => {
    await expect(run()).rejects.toMatchObject({ code, message });
  });
});
