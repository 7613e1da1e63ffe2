import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { keepNothing, type PassContext, type PassReport, runPasses } from '../../src/ir/pass.ts';
import type { ChannelStatistics, NodeStatistics } from '../../src/ir/statistics.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { buildModel } from '../../src/models/index.ts';
import { equalizeStreams } from '../../src/passes/equalize-streams.ts';
import { foldNoNorm } from '../../src/passes/fold-no-norm.ts';
import { graphOf, randomTensor } from '../core.ts';
import { openCheckpoint } from '../models/corpus.ts';
import { MOBILEBERT_LAYER } from './sample-graphs.ts';

type Feeds = ReadonlyMap<string, Tensor>;

const SIZES: { readonly [symbol: string]: number } = { batch: 2, sequence: 5 };

function feedsFor(graph: Graph): Feeds {
  return new Map(
    graph.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : (SIZES[dim] as number)));
      return [name, randomTensor({ dtype: type.dtype, shape }, 7 + i)];
    }),
  );
}

function outputsOf(graph: Graph, feeds: Feeds): number[] {
  const found = evaluate(graph, feeds);
  return graph.outputs.flatMap(({ name }) => [...readF32(found.get(name) as Tensor)]);
}

/** min and max of each channel, by the reference evaluator. */
function channelRanges(graph: Graph, feeds: Feeds, node: Node): ChannelStatistics {
  const values = readF32(evaluate(graph, feeds, [node]).get(node.name) as Tensor);
  const channels = node.type.shape.at(-1) as number;
  const min = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
  const max = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  values.forEach((value, i) => {
    sums[i % channels] = (sums[i % channels] as number) + value;
    squares[i % channels] = (squares[i % channels] as number) + value * value;
    min[i % channels] = Math.min(min[i % channels] as number, value);
    max[i % channels] = Math.max(max[i % channels] as number, value);
  });
  const rows = values.length / channels;
  return { min, max, mean: sums.map((sum) => sum / rows), rms: squares.map((sum) => Math.sqrt(sum / rows)) };
}

/** A context that calibrates on one set of feeds. */
function calibrated(graph: Graph, feeds: Feeds, keeps: PassContext['keeps'] = () => false): PassContext {
  return {
    keeps,
    async statistics(requests) {
      return new Map(
        requests.map(({ node }) => {
          const channels = channelRanges(graph, feeds, node);
          return [node.name, { rows: 1, min: 0, max: 0, mean: 0, rms: 0, channels } as NodeStatistics];
        }),
      );
    },
  };
}

async function equalized(graph: Graph, context: PassContext): Promise<PassReport> {
  const [report] = await runPasses(graph, [equalizeStreams], context);
  return report as PassReport;
}

async function folded(text: string): Promise<Graph> {
  const graph = graphOf(text);
  await runPasses(graph, [foldNoNorm]);
  return graph;
}

function expectClose(found: readonly number[], expected: readonly number[], tolerance = 2e-5): void {
  expect(found.length).toBe(expected.length);
  const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] as number))), 0);
  expect(worst).toBeLessThan(tolerance);
}

function nodeNamed(graph: Graph, name: string): Node {
  return graph.nodes().find((node) => node.name === name) as Node;
}

describe('equalize-streams', () => {
  test('changes constants only', async () => {
    const graph = await folded(MOBILEBERT_LAYER);
    await equalized(graph, keepNothing);
    await expect(graphText(graph)).toMatchFileSnapshot('golden/equalize-streams-folded.txt');
  });

  test('centres the channels of both streams of a layer, and keeps the outputs', async () => {
    const graph = await folded(MOBILEBERT_LAYER);
    const feeds = feedsFor(graph);
    const before = outputsOf(graph, feeds);
    const report = await equalized(graph, calibrated(graph, feeds));
    expect(report).toMatchObject({ rewrites: 2, declined: [] });
    expectClose(outputsOf(graph, feeds), before);
    for (const name of ['embedded', 'y0', 'a0', 'f0']) {
      const { min, max } = channelRanges(graph, feeds, nodeNamed(graph, name));
      min.forEach((value, c) => {
        expect(value + (max[c] as number)).toBeCloseTo(0, 4);
      });
    }
  });

  test('restores a stream that is an output', async () => {
    const text = MOBILEBERT_LAYER.replace('return logits: h', 'return hidden: start, last: y, logits: h');
    const graph = await folded(text);
    const feeds = feedsFor(graph);
    const before = outputsOf(graph, feeds);
    await equalized(graph, calibrated(graph, feeds));
    expectClose(outputsOf(graph, feeds), before);
    expect(graph.outputs.map(({ name, node }) => `${name} ${node.op}`)).toEqual([
      'hidden add',
      'last add',
      'logits linear',
    ]);
  });

  test('works with norms that are not folded, and through the one that keeps a mul', async () => {
    const tiny = MOBILEBERT_LAYER.replace('ga f32[4] #11', 'ga f32[4] {1, 1e-6, -1, 0.5}');
    for (const graph of [graphOf(MOBILEBERT_LAYER), await folded(tiny)]) {
      const feeds = feedsFor(graph);
      const before = outputsOf(graph, feeds);
      const { rewrites } = await equalized(graph, calibrated(graph, feeds));
      expect(rewrites).toBeGreaterThan(0);
      expectClose(outputsOf(graph, feeds), before);
    }
  });

  test('leaves alone what the user keeps', async () => {
    const graph = await folded(MOBILEBERT_LAYER);
    const before = graphText(graph);
    const report = await equalized(graph, { keeps: ({ name }) => ['d', 'w'].includes(name) });
    expect(report).toEqual({
      pass: equalizeStreams,
      rewrites: 0,
      declined: ['y0 and 1 more: a linear that is kept writes it'],
    });
    expect(graphText(graph)).toBe(before);
  });

  test('says once what stops all streams of a model with LayerNorm', async () => {
    const graph = graphOf(`graph g (x: f32[batch, 4])
  a = linear(x, wa f32[4, 4] #1)
  n = layerNorm(a, g1 f32[4] #2, b1 f32[4] #3) {epsilon: 1e-12}
  h = linear(n, wh f32[4, 4] #4)
  s = add(n, h)
  m = layerNorm(s, g2 f32[4] #5, b2 f32[4] #6) {epsilon: 1e-12}
  i = linear(m, wi f32[4, 4] #7)
  t = add(m, i)
  l = layerNorm(t, g3 f32[4] #8, b3 f32[4] #9) {epsilon: 1e-12}
return y: l`);
    const { rewrites, declined } = await equalized(graph, keepNothing);
    expect(rewrites).toBe(0);
    expect(declined).toEqual(['s and 1 more: layerNorm writes it']);
  });

  test('takes no offset to readers that cannot undo it', async () => {
    const graph = graphOf(`graph g (x: f32[2, 5, 3])
  a = linear(x, wa f32[4, 3] #1, ba f32[4] {5, 0, -7, 1})
  h = linear(a, wh f32[4, 4] #2)
  s = add(a, h)
  n = shift(s) {offset: 1}
  z = linear(n, wz f32[2, 4] #3)
  k = linear(s, wk f32[2, 4] #4)
return z: z, k: k`);
    const feeds = feedsFor(graph);
    const before = outputsOf(graph, feeds);
    const context = calibrated(graph, feeds);
    expect(await equalized(graph, context)).toMatchObject({ rewrites: 1, declined: [] });
    expectClose(outputsOf(graph, feeds), before);
    const centre = ({ min, max }: { min: Float64Array; max: Float64Array }) =>
      Math.max(...max.map((most, c) => Math.abs(most + (min[c] as number))));
    expect(centre(channelRanges(graph, feeds, nodeNamed(graph, 'a')))).toBeLessThan(1e-5);
    expect(centre(channelRanges(graph, feeds, nodeNamed(graph, 's')))).toBeGreaterThan(0.1);
  });

  test('leaves dead channels alone and reports the ones that no scale reaches', async () => {
    const graph = graphOf(`graph g (x: f32[5, 2])
  a = linear(x, wa f32[4, 2] {1, 0, 0, 1, 0, 0, 1e12, 0})
  h = linear(a, wh f32[4, 4] {0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5})
  s = add(a, h)
  y = linear(s, wy f32[1, 4] {1, 1, 1, 1e-12})
return y: y`);
    const feeds = feedsFor(graph);
    const before = outputsOf(graph, feeds);
    const { declined } = await equalized(graph, calibrated(graph, feeds));
    expect(declined).toEqual(['a: channels 3 stand out too far, scaled as far as f32 allows']);
    expectClose(outputsOf(graph, feeds), before);
  });
});

describe('equalize-streams on a checkpoint with outlier channels', () => {
  const OUTLIERS = new Map([
    [3, 900],
    [17, 0.002],
    [40, -25],
  ]);
  const scaleOf = (channel: number) => OUTLIERS.get(channel) ?? 1;

  /** The same function with some channels of the wide stream far larger or smaller: writers times, readers divided. */
  function withOutliers(checkpoint: Checkpoint): Checkpoint {
    const hidden = 64;
    const tensors = new Map(checkpoint.tensors);
    const change = (name: string, factor: (index: number, width: number) => number) => {
      const tensor = tensors.get(name) as Tensor;
      const width = tensor.shape.at(-1) as number;
      tensors.set(
        name,
        tensorOf(
          'f32',
          tensor.shape,
          readF32(tensor).map((value, i) => value * factor(i, width)),
        ),
      );
    };
    for (const [name, { shape }] of checkpoint.tensors) {
      const isReader = /layer\.\d+\.(bottleneck\.(input|attention)\.dense|attention\.self\.value)\.weight$/.test(name);
      if (isReader || name === 'mobilebert.pooler.dense.weight') change(name, (i) => 1 / scaleOf(i % hidden));
      if (/output\.bottleneck\.(dense\.(weight|bias)|LayerNorm\.bias)$|^mobilebert\.embeddings\.LayerNorm/.test(name)) {
        change(name, (i, width) => scaleOf(shape.length === 1 ? i : Math.floor(i / width)));
      }
    }
    return { ...checkpoint, tensors };
  }

  async function run(checkpoint: Checkpoint, isCalibrated: boolean) {
    const { graph } = buildModel(checkpoint, {
      task: 'sequence-classification',
      batch: 'batch',
      sequenceLength: 'sequence',
      indexType: 'i64',
    });
    await runPasses(graph, [foldNoNorm]);
    const feeds = new Map(feedsFor(graph));
    const mask = tensorOf('i64', [2, 5], new BigInt64Array(10).fill(1n));
    feeds.set('attention_mask', mask);
    feeds.set('token_type_ids', tensorOf('i64', [2, 5], BigInt64Array.from([0, 0, 0, 1, 1, 0, 1, 1, 1, 1], BigInt)));
    const report = await equalized(graph, isCalibrated ? calibrated(graph, feeds) : keepNothing);
    const points = graph.nodes().filter(({ op, name }) => op === 'add' && /residual$/.test(name));
    const sizes = points.map((node) => {
      const { min, max } = channelRanges(graph, feeds, node);
      const widths = max.map((value, c) => value - (min[c] as number));
      const mean = widths.reduce((a, b) => a + b) / widths.length;
      return [...widths.map((width) => width / mean)];
    });
    return { outputs: outputsOf(graph, feeds), sizes, report };
  }

  test.each([
    ['calibrated', true],
    ['from the weights alone', false],
  ])('stores the same values as without outliers, %s', async (_, isCalibrated) => {
    const checkpoint = await openCheckpoint('hf-seqcls');
    const plain = await run(checkpoint, isCalibrated);
    const tamed = await run(withOutliers(checkpoint), isCalibrated);
    expect(plain.report.rewrites).toBe(3);
    expect(plain.sizes.length).toBeGreaterThan(8);
    expectClose(tamed.outputs, plain.outputs);
    tamed.sizes.forEach((sizes, i) => {
      expectClose(sizes, plain.sizes[i] as number[], 1e-3);
    });
    checkpoint.close();
  });
});
