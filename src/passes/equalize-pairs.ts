import type { Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import type { ChannelStatistics } from '../ir/statistics.ts';
import { absMax } from '../ir/statistics.ts';
import { readF32 } from '../ir/tensor.ts';
import { type PerChannel, reciprocal } from './affine.ts';
import { constantLinear, contextOf, projectionOf } from './attention.ts';
import { applyGauges } from './streams/apply-gauges.ts';
import { guessSizes } from './streams/stream-scales.ts';
import { rolesOf } from './streams/streams.ts';

/** A value whose channels may have any positive scale s, because what reads the value undoes the scale. */
interface Pair {
  /** The node whose channels s is to equalize. */
  readonly value: Node;
  /** All nodes that are stored divided by s. */
  readonly divided: readonly Node[];
  /** Linears that read the value: s is balanced against their columns, which it multiplies. None where `key` is. */
  readonly readers: readonly Node[];
  /** The key that the value, a query, is multiplied with: s is balanced against its channels, which it multiplies. */
  readonly key?: Node;
}

/** Builds a pass that equalizes all pairs that `find` sees at a node. */
function equalizePairs(names: Pick<Pass, 'name' | 'summary'>, find: (graph: Graph, node: Node) => Pair | null): Pass {
  return {
    ...names,
    keeps: 'values',
    async run(graph, context) {
      const pairs: Pair[] = [];
      for (const node of graph.nodes()) {
        const pair = find(graph, node);
        if (pair && ![...pair.divided, ...pair.readers].some((part) => context.keeps(part))) pairs.push(pair);
      }
      if (pairs.length === 0) return { rewrites: 0, declined: [] };
      const observed = pairs.flatMap(({ value, key }) => (key ? [value, key] : [value]));
      const statistics = await context.statistics?.(observed.map((node) => ({ node, channels: true })));
      const guesses = statistics ? undefined : guessSizes(graph);
      const sizesOf = (node: Node) => guesses?.get(node) ?? sizes(statistics?.get(node.name)?.channels);
      const scales = new Map<Node, PerChannel>();
      for (const { value, divided, readers, key } of pairs) {
        const valueSizes = sizesOf(value);
        const scale = balance(valueSizes, key ? sizesOf(key) : columnSizes(readers, valueSizes.length));
        for (const node of divided) scales.set(node, scale);
        if (key) scales.set(key, reciprocal(scale));
      }
      applyGauges(graph, rolesOf(graph, context), scales, { values: new Map(), constants: new Map() });
      return { rewrites: pairs.length, declined: [] };
    },
  };
}

/** The largest magnitude of each channel. */
function sizes(channels: ChannelStatistics | undefined): PerChannel {
  if (channels === undefined) return new Float64Array(0);
  return channels.max.map((max, c) => absMax({ min: channels.min[c] as number, max }));
}

/**
 * Computes s = √(a / b), the geometric mean of all s being 1: half of the differences between a's channels move over to
 * b. Dead channels get 1.
 */
function balance(a: PerChannel, b: PerChannel): PerChannel {
  const logs = a.map((size, c) => {
    const counterpart = b[c] as number;
    return size > 0 && counterpart > 0 ? Math.log(size / counterpart) / 2 : Number.NaN;
  });
  const live = logs.filter((log) => !Number.isNaN(log));
  const mean = live.reduce((sum, log) => sum + log, 0) / live.length;
  return logs.map((log) => (Number.isNaN(log) ? 1 : Math.exp(log - mean)));
}

/** The largest |W| of each column of W [out, channels], over all readers. */
function columnSizes(readers: readonly Node[], channels: number): PerChannel {
  const largest = new Float64Array(channels);
  for (const reader of readers) {
    const weight = reader.inputs[1];
    if (weight?.op !== 'constant') continue;
    const values = readF32(weight.tensor);
    for (let i = 0, c = 0; i < values.length; i++) {
      largest[c] = Math.max(largest[c] as number, Math.abs(values[i] as number));
      c = c + 1 === channels ? 0 : c + 1;
    }
  }
  return largest;
}

function isReadOnlyByLinears(graph: Graph, node: Node): boolean {
  if (node.users.size === 0 || graph.isOutput(node)) return false;
  return [...node.users].every((user) => constantLinear(user));
}

/** Equalizes the channels between two linears. Every positive scale passes a relu: relu(s x) = s relu(x). */
export const equalizeLinears: Pass = equalizePairs(
  {
    name: 'equalize-linears',
    summary: 'linear(relu?(linear(x)))  ->  the same with the channels between them at like ranges',
  },
  (graph, node) =>
    constantLinear(node) && isReadOnlyByLinears(graph, node)
      ? { value: node, divided: [node], readers: [...node.users] }
      : null,
);

/**
 * Equalizes the channels of attention's values: P (V diag(1/s)) diag(s) = P V, as attention mixes tokens but not
 * channels.
 */
export const equalizeValueOutput: Pass = equalizePairs(
  {
    name: 'equalize-value-output',
    summary: "linear(softmax @ v)  ->  the same with v's channels at like ranges",
  },
  (graph, node) => {
    const context = contextOf(graph, node);
    if (context === null || typeof context === 'string' || !isReadOnlyByLinears(graph, node)) return null;
    return { value: node, divided: [context.value.linear.node, node], readers: [...node.users] };
  },
);

/** Equalizes the channels of queries and keys: (Q diag(1/s)) (K diag(s))ᵀ = Q Kᵀ. */
export const equalizeQueryKey: Pass = equalizePairs(
  {
    name: 'equalize-query-key',
    summary: 'q @ k  ->  the same with the channels of q and k at like ranges',
  },
  (graph, node) => {
    const [a, b] = node.inputs;
    if (node.op !== 'matmul' || !node.attrs.transposeB || a === undefined || b === undefined) return null;
    const query = projectionOf(graph, a);
    const key = projectionOf(graph, b);
    if (!query || !key || query.path.length !== key.path.length) return null;
    if (!query.path.every((step, i) => isSameStep(step, key.path[i]))) return null;
    return { value: query.linear.node, divided: [query.linear.node], readers: [], key: key.linear.node };
  },
);

function isSameStep(a: Node, b: Node | undefined): boolean {
  if (a.op === 'reshape' && b?.op === 'reshape') return String(a.attrs.shape) === String(b.attrs.shape);
  if (a.op === 'transpose' && b?.op === 'transpose') return String(a.attrs.permutation) === String(b.attrs.permutation);
  return false;
}
