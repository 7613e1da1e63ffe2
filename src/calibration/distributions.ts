import { MbertError } from '../errors.ts';
import type { Graph, Node } from '../ir/graph.ts';
import { coarseDistribution, type Distribution } from '../metrics/distribution.ts';
import type { TokenRow } from '../samples/feeds.ts';
import { tokenInputsOf } from './graph-session.ts';
import { layoutsOf, type TokenLayout } from './layout.ts';
import { collectStatistics, type StatisticsOptions } from './statistics.ts';

/** Samples whose values are plotted: bars show no difference to more of them. */
export const PLOTTED_SAMPLES = 8;

/** Most bytes of values that one run gives back: all values of a 24-layer model on 512 tokens are 1 GB. */
const MAX_RUN_BYTES = 256e6;

/**
 * Distributions of all real values that a float graph computes, by name. Values that depend on
 * more than a sequence of tokens are left out. Throws what `collectStatistics` throws.
 */
export async function distributionsOf(
  graph: Graph,
  rows: readonly TokenRow[],
  options: StatisticsOptions,
): Promise<Map<string, Distribution>> {
  const tokens = Math.max(1, ...rows.map(({ inputIds }) => inputIds.length + 1));
  const { progress } = options;
  const runs = runsOf(graph, tokens);
  const found = new Map<string, Distribution>();
  for (const [i, nodes] of runs.entries()) {
    const requests = nodes.map((node) => ({ node, histogram: true }));
    const statistics = await collectStatistics(graph, requests, rows, {
      ...options,
      graphOptimization: false,
      progress: (done, total) => progress?.(i * total + done, runs.length * total),
    });
    for (const [name, { histogram, ...facts }] of statistics) {
      if (histogram) found.set(name, coarseDistribution({ ...facts, histogram }));
    }
  }
  return found;
}

/** Nodes by the run that gives their values. */
function runsOf(graph: Graph, tokens: number): Node[][] {
  const layoutOf = layoutsOf(graph, tokenInputsOf(graph));
  const runs: Node[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const node of graph.nodes()) {
    const isComputed = node.op !== 'input' && node.op !== 'constant';
    const layout = isComputed ? layoutOrNull(node, layoutOf) : null;
    if (layout === null) continue;
    const own = 4 * layout.channels * layout.otherRows * tokens ** layout.tokenAxes.length;
    if (bytes + own > MAX_RUN_BYTES) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)?.push(node);
    bytes += own;
  }
  return runs;
}

function layoutOrNull(node: Node, layoutOf: (node: Node) => TokenLayout): TokenLayout | null {
  try {
    return layoutOf(node);
  } catch (cause) {
    if (cause instanceof MbertError) return null;
    throw cause;
  }
}
