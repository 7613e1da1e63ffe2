import { expect } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { type Pass, type PassContext, type PassReport, runPasses } from '../../src/ir/pass.ts';
import { bindDim } from '../../src/ir/shape.ts';
import type { ChannelStatistics, NodeStatistics } from '../../src/ir/statistics.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { graphOf, randomTensor } from '../core.ts';

export type Feeds = ReadonlyMap<string, Tensor>;

const SIZES = { batch: 2, sequence: 5 };

/** Seeded values for every input. */
function feedsFor(graph: Graph): Feeds {
  return new Map(
    graph.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((dim) => bindDim(dim, SIZES) as number);
      return [name, randomTensor({ dtype: type.dtype, shape }, 7 + i)];
    }),
  );
}

/** The values of all outputs, one after the other. */
export function outputsOf(graph: Graph, feeds = feedsFor(graph)): number[] {
  const found = evaluate(graph, feeds);
  return graph.outputs.flatMap(({ name }) => [...readF32(found.get(name) as Tensor)]);
}

export function expectClose(found: readonly number[], expected: readonly number[], tolerance = 2e-5): void {
  expect(found.length).toBe(expected.length);
  const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] as number))), 0);
  expect(worst).toBeLessThan(tolerance);
}

export function nodeNamed(graph: Graph, name: string): Node {
  const found = graph.nodes().find((node) => node.name === name);
  if (found === undefined) throw new Error(`the graph has no ${name}`);
  return found;
}

/** Minimum, maximum, mean and rms of each channel of a node, by the reference evaluator. */
export function channelStatistics(graph: Graph, node: Node, feeds = feedsFor(graph)): ChannelStatistics {
  const values = readF32(evaluate(graph, feeds, [node]).get(node.name) as Tensor);
  const channels = node.type.shape.at(-1) as number;
  const rows = values.length / channels;
  const min = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
  const max = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
  const mean = new Float64Array(channels);
  const squares = new Float64Array(channels);
  values.forEach((value, i) => {
    const c = i % channels;
    min[c] = Math.min(min[c] as number, value);
    max[c] = Math.max(max[c] as number, value);
    mean[c] = (mean[c] as number) + value / rows;
    squares[c] = (squares[c] as number) + (value * value) / rows;
  });
  return { min, max, mean, rms: squares.map(Math.sqrt) };
}

/** A context whose calibration samples are one set of feeds. */
export function calibrated(graph: Graph, feeds = feedsFor(graph)): PassContext {
  return {
    keeps: () => false,
    statistics: async (requests) =>
      new Map(
        requests.map(({ node }) => {
          const channels = channelStatistics(graph, node, feeds);
          return [node.name, { rows: 1, min: 0, max: 0, mean: 0, rms: 0, channels } satisfies NodeStatistics];
        }),
      ),
  };
}

/** Runs a pass, which must leave what the graph computes as it was. */
export async function keepingValues(
  pass: Pass,
  text: string,
  context?: (graph: Graph) => PassContext,
): Promise<{ readonly graph: Graph; readonly text: string; readonly report: PassReport }> {
  const graph = graphOf(text);
  const before = outputsOf(graph);
  const [report] = await runPasses(graph, [pass], context?.(graph));
  expectClose(outputsOf(graph), before);
  return { graph, text: graphText(graph), report: report as PassReport };
}
