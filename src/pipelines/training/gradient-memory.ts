import type { Graph } from '../../ir/graph.ts';
import { sizeOf } from '../../ir/shape.ts';

/**
 * Most values that one run computes. What the student computes is held until its gradient is known, so ONNX Runtime has
 * almost half of them at a time: 0.6 GB. A 12-layer MobileBERT gets 630 tokens a run, a 6-layer MiniLM 1,310.
 */
export const RUN_VALUES = 350e6;

/** Most values of a run beside which others go on. A 12-layer MobileBERT gets 400 tokens then, in each of two lanes. */
export const LANE_VALUES = 225e6;

/** Number of values that all nodes of a graph have for one token. */
export function valuesPerToken(graph: Graph): number {
  let count = 0;
  for (const { op, type } of graph.nodes()) {
    const sizes = type.shape.filter((dim) => typeof dim === 'number');
    if (op !== 'input' && op !== 'constant' && sizes.length < type.shape.length) count += sizeOf(sizes);
  }
  return count;
}

/** Fewest tokens of a batch: a text of usual length. */
const MIN_TOKENS = 64;

/** Tokens of a batch for which gradients of a graph's outputs fit: they have about twice as many values as the graph. */
export function gradientTokens(graph: Graph): number {
  return Math.max(MIN_TOKENS, Math.floor(RUN_VALUES / (3 * valuesPerToken(graph))));
}
