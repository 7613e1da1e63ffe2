import type { Graph, Node } from '../../ir/graph.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { PerChannel } from '../affine.ts';
import { streamRule } from './streams.ts';

/**
 * The largest ratio between a scale and the median scale: within it weights stay far inside f32. Channels of published
 * MobileBERT states are larger than the median by 2^25.
 */
const MAX_SCALE_TO_MEDIAN = 2 ** 30;

/**
 * The geometric mean, for each channel, of size[channel] / mean over channels of size, taken over all points. A channel
 * of size 0 at a point (dead) leaves that point out; NaN for one that is dead everywhere.
 */
export function meanShares(points: readonly PerChannel[]): PerChannel {
  const channels = points[0]?.length ?? 0;
  const logs = new Float64Array(channels);
  const counts = new Float64Array(channels);
  for (const sizes of points) {
    const mean = sizes.reduce((sum, size) => sum + size, 0) / channels;
    for (let c = 0; c < channels; c++) {
      const size = sizes[c] as number;
      if (size === 0) continue;
      logs[c] = (logs[c] as number) + Math.log(size / mean);
      counts[c] = (counts[c] as number) + 1;
    }
  }
  return logs.map((log, c) => Math.exp(log / (counts[c] as number)));
}

/**
 * Computes D[channel], with which every channel of a stream has about the same size; one that is dead everywhere gets
 * the median.
 */
export function scaleOf(points: readonly PerChannel[]): PerChannel {
  const scale = meanShares(points);
  const live = scale.filter((value) => !Number.isNaN(value)).sort();
  const median = live[live.length >> 1] ?? 1;
  return scale.map((value) => (Number.isNaN(value) ? median : value));
}

/** Limits scales to what f32 allows; `clamped` are the channels whose scale is more than 2^30 from the median. */
export function clampedScale(scale: PerChannel): { readonly scale: PerChannel; readonly clamped: number[] } {
  const median = scale.slice().sort()[scale.length >> 1] ?? 1;
  const near = scale.map((value) =>
    Math.min(median * MAX_SCALE_TO_MEDIAN, Math.max(median / MAX_SCALE_TO_MEDIAN, value)),
  );
  return { scale: near, clamped: [...near.keys()].filter((c) => near[c] !== scale[c]) };
}

/**
 * Guesses the rms of each channel of each node from weights alone: unknown values have rms 1, and in products with
 * weights the squares of independent values add up. Exact in one respect: scaling a channel of a stream scales its
 * guess.
 */
export function guessSizes(graph: Graph): ReadonlyMap<Node, PerChannel> {
  const squares = new Map<Node, PerChannel>();
  for (const node of graph.nodes()) {
    const channels = node.type.shape.at(-1);
    if (typeof channels !== 'number') continue;
    squares.set(node, guessSquares(node, (input) => squares.get(input)) ?? new Float64Array(channels).fill(1));
  }
  for (const [node, values] of squares) squares.set(node, values.map(Math.sqrt));
  return squares;
}

/**
 * Guesses the mean squares of a node's channels from those of its inputs; undefined where the op tells nothing about
 * them.
 */
function guessSquares(node: Node, of: (input: Node) => PerChannel | undefined): PerChannel | undefined {
  const [x, y, z] = node.inputs as readonly [Node | undefined, Node | undefined, Node | undefined];
  const first = x && of(x);
  switch (node.op) {
    case 'constant':
      return columnSquares(node.tensor);
    case 'concat':
      return joined(node.inputs.map(of), node.type.shape.at(-1) as number);
    case 'linear':
    case 'conv1d': {
      if (first === undefined || y?.op !== 'constant') return undefined;
      const rows = weightedRows(y.tensor, first);
      const bias = z && of(z);
      return bias ? rows.map((value, i) => value + (bias[i] as number)) : rows;
    }
    case 'noNorm':
      return first?.map((value, i) => value * (of(y as Node)?.[i] ?? 1) + (of(z as Node)?.[i] ?? 0));
    case 'mul':
    case 'add': {
      const second = y && of(y);
      const width = node.type.shape.at(-1) as number;
      if (first === undefined || second === undefined) return undefined;
      const at = (values: PerChannel, i: number) => values[values.length === 1 ? 0 : i] as number;
      return Float64Array.from({ length: width }, (_, i) =>
        node.op === 'mul' ? at(first, i) * at(second, i) : at(first, i) + at(second, i),
      );
    }
    default:
      return streamRule(node) === 'moved' && first?.length === node.type.shape.at(-1) ? first : undefined;
  }
}

/** The mean over the rows of x² for x [..., channels]; for a vector its squares. */
function columnSquares(tensor: Tensor): PerChannel {
  const channels = tensor.shape.at(-1) ?? 1;
  const values = readF32(tensor);
  const squares = new Float64Array(channels);
  for (let from = 0; from < values.length; from += channels) {
    for (let c = 0; c < channels; c++) squares[c] = (squares[c] as number) + (values[from + c] as number) ** 2;
  }
  return squares.map((value) => (value * channels) / values.length);
}

/** Computes Σ W[o, ...]² x² for W [out, ..., in] and mean squares x² [in]. */
function weightedRows(weight: Tensor, squares: PerChannel): PerChannel {
  const out = weight.shape[0] as number;
  const values = readF32(weight);
  const width = values.length / out;
  const rows = new Float64Array(out);
  for (let o = 0; o < out; o++) {
    let sum = 0;
    for (let i = 0; i < width; i++) {
      sum += (values[o * width + i] as number) ** 2 * (squares[i % squares.length] as number);
    }
    rows[o] = sum;
  }
  return rows;
}

function joined(parts: readonly (PerChannel | undefined)[], channels: number): PerChannel | undefined {
  const values = parts.flatMap((part) => (part ? [...part] : []));
  return values.length === channels ? Float64Array.from(values) : undefined;
}
