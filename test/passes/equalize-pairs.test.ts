import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Constant, Graph, Node } from '../../src/ir/graph.ts';
import { type PassContext, runPasses } from '../../src/ir/pass.ts';
import type { NodeStatistics } from '../../src/ir/statistics.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { centreAttention } from '../../src/passes/centre-attention.ts';
import { equalizeLinears, equalizeQueryKey, equalizeValueOutput } from '../../src/passes/equalize-pairs.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { graphOf, randomTensor } from '../core.ts';
import { MOBILEBERT_LAYER } from './sample-graphs.ts';

const SIZES: { readonly [symbol: string]: number } = { batch: 2, sequence: 5 };

function feedsFor(graph: Graph): Map<string, Tensor> {
  return new Map(
    graph.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : (SIZES[dim] as number)));
      return [name, randomTensor({ dtype: type.dtype, shape }, 7 + i)];
    }),
  );
}

function nodeNamed(graph: Graph, name: string): Node {
  return graph.nodes().find((node) => node.name === name) as Node;
}

/** max |x| of each channel, by the reference evaluator. */
function channelSizes(graph: Graph, name: string): number[] {
  const node = nodeNamed(graph, name);
  const values = readF32(evaluate(graph, feedsFor(graph), [node]).get(name) as Tensor);
  return columnSizes(values, node.type.shape.at(-1) as number);
}

function columnSizes(values: Float32Array, channels: number): number[] {
  const sizes = new Array<number>(channels).fill(0);
  values.forEach((value, i) => {
    sizes[i % channels] = Math.max(sizes[i % channels] as number, Math.abs(value));
  });
  return sizes;
}

function weightColumns(graph: Graph, linear: string): number[] {
  const { tensor } = nodeNamed(graph, linear).inputs[1] as Constant;
  return columnSizes(readF32(tensor), tensor.shape[1] as number);
}

function calibrated(graph: Graph): PassContext {
  return {
    keeps: () => false,
    async statistics(requests) {
      return new Map(
        requests.map(({ node: { name } }) => {
          const sizes = Float64Array.from(channelSizes(graph, name));
          const channels = { min: sizes.map((size) => -size), max: sizes, mean: sizes, rms: sizes };
          return [name, { rows: 1, min: 0, max: 0, mean: 0, rms: 0, channels } satisfies NodeStatistics];
        }),
      );
    },
  };
}

/** A layer as it is where these passes run: norms folded, ReLU in its linear, nothing fused. */
async function layer(): Promise<Graph> {
  const graph = graphOf(MOBILEBERT_LAYER);
  await runPasses(graph, selectPasses('none,fuse-linear,fold-attention-scale,move-value-bias,fold-no-norm', 'onnx'));
  return graph;
}

function logits(graph: Graph): number[] {
  return [...readF32(evaluate(graph, feedsFor(graph)).get('logits') as Tensor)];
}

/** What one side has over the other, for the channels that a relu leaves alive. */
function quotients(a: readonly number[], b: readonly number[]): number[] {
  return a.map((size, c) => size / (b[c] as number)).filter((quotient) => quotient > 0);
}

test.each([
  [equalizeLinears, 2, 'u0', (graph: Graph) => weightColumns(graph, 'd')],
  [equalizeValueOutput, 1, 'o2', (graph: Graph) => weightColumns(graph, 'o3')],
  [equalizeQueryKey, 1, 'q0', (graph: Graph) => channelSizes(graph, 'k0')],
] as const)('$name balances the two sides of every pair and keeps the outputs', async (pass, pairs, value, other) => {
  const graph = await layer();
  const before = logits(graph);
  const uneven = quotients(channelSizes(graph, value), other(graph));
  const [report] = await runPasses(graph, [pass], calibrated(graph));
  expect(report).toMatchObject({ rewrites: pairs, declined: [] });
  expect(Math.max(...uneven) / Math.min(...uneven)).toBeGreaterThan(1.5);
  const even = quotients(channelSizes(graph, value), other(graph));
  expect(even.length).toBeGreaterThan(2);
  for (const quotient of even) expect(quotient).toBeCloseTo(even[0] as number, 4);
  logits(graph).forEach((found, i) => {
    expect(found).toBeCloseTo(before[i] as number, 4);
  });
});

test('pairs with a linear that is kept stay as they are', async () => {
  const graph = await layer();
  const [report] = await runPasses(graph, [equalizeLinears], { keeps: ({ name }) => name === 'd' });
  expect(report?.rewrites).toBe(1);
});

test('centre-attention centres keys and values and keeps the outputs', async () => {
  const graph = await layer();
  const before = logits(graph);
  const ranges = (name: string) => {
    const node = nodeNamed(graph, name);
    const values = readF32(evaluate(graph, feedsFor(graph), [node]).get(name) as Tensor);
    const channels = node.type.shape.at(-1) as number;
    const min = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
    const max = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
    values.forEach((value, i) => {
      min[i % channels] = Math.min(min[i % channels] as number, value);
      max[i % channels] = Math.max(max[i % channels] as number, value);
    });
    return { min, max, mean: min, rms: max };
  };
  const offCentre = (name: string) => {
    const { min, max } = ranges(name);
    return Math.max(...max.map((most, c) => Math.abs(most + (min[c] as number))));
  };
  expect(Math.min(offCentre('k0'), offCentre('v0'))).toBeGreaterThan(0.1);
  const [report] = await runPasses(graph, [centreAttention], {
    keeps: () => false,
    statistics: async (requests) =>
      new Map(
        requests.map(({ node: { name } }) => [
          name,
          { rows: 1, min: 0, max: 0, mean: 0, rms: 0, channels: ranges(name) } satisfies NodeStatistics,
        ]),
      ),
  });
  expect(report).toMatchObject({ rewrites: 2, declined: [] });
  expect(Math.max(offCentre('k0'), offCentre('v0'))).toBeLessThan(1e-5);
  logits(graph).forEach((found, i) => {
    expect(found).toBeCloseTo(before[i] as number, 4);
  });
});

test('centre-attention says that it needs samples', async () => {
  const graph = await layer();
  const [report] = await runPasses(graph, [centreAttention]);
  expect(report).toMatchObject({ rewrites: 0, declined: ['layer: centres need calibration samples'] });
});
