import type { Graph, Node } from '../ir/graph.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import type { PerChannel } from './affine.ts';
import { moveValueBias } from './move-value-bias.ts';
import { applyGauges } from './streams/apply-gauges.ts';
import { balancedScale, type StreamReader } from './streams/stream-balance.ts';
import { type Offsets, planOffsets } from './streams/stream-offsets.ts';
import { clampedScale, guessSizes, scaleOf } from './streams/stream-scales.ts';
import { findStreams, type Role, type Stream } from './streams/streams.ts';

/** The points of a stream: the nodes that compute a value which a linear reads, as it is or moved. */
function pointsOf({ values }: Stream, roles: ReadonlyMap<Node, Role>): Node[] {
  const isRead = (node: Node): boolean =>
    [...node.users].some((user) => {
      const role = roles.get(user);
      const relation = role?.inputs[user.inputs.indexOf(node)];
      return relation === 'absorbed' || (relation === 'same' && user.op !== 'add' && isRead(user));
    });
  return values.filter((node) => (node.op === 'add' || roles.get(node)?.result === 'free') && isRead(node));
}

/** Statistics of a stream's channels at one of its points. */
interface PointStatistics {
  /** The offset of each channel that makes its size smallest; undefined where nothing was run. */
  readonly centre: PerChannel | undefined;
  /** The largest distance of each channel from its offset. */
  size(offset: PerChannel | undefined): PerChannel;
  /** The mean square of each channel, the offset subtracted; undefined where nothing was run. */
  power(offset: PerChannel | undefined): PerChannel | undefined;
}

/** Measures the points by running the calibration samples; without samples, guesses their sizes from the weights. */
async function measure(
  graph: Graph,
  points: readonly Node[],
  context: PassContext,
): Promise<Map<Node, PointStatistics>> {
  const pointStatistics = new Map<Node, PointStatistics>();
  const statistics = await context.statistics?.(points.map((node) => ({ node, channels: true })));
  const guesses = statistics ? undefined : guessSizes(graph);
  for (const node of points) {
    const guess = guesses?.get(node);
    const channels = statistics?.get(node.name)?.channels;
    if (guess) pointStatistics.set(node, { centre: undefined, size: () => guess, power: () => undefined });
    if (!channels) continue;
    const { min, max, mean, rms } = channels;
    pointStatistics.set(node, {
      centre: max.map((most, c) => (most + (min[c] as number)) / 2),
      size: (offset) =>
        max.map((most, c) =>
          Math.max(Math.abs(most - (offset?.[c] ?? 0)), Math.abs((offset?.[c] ?? 0) - (min[c] as number))),
        ),
      power: (offset) =>
        rms.map((value, c) => {
          const off = offset?.[c] ?? 0;
          return Math.max(0, value * value - 2 * off * (mean[c] as number) + off * off);
        }),
    });
  }
  return pointStatistics;
}

async function run(graph: Graph, context: PassContext): Promise<PassReport> {
  const { roles, streams } = findStreams(graph, context);
  const free = streams
    .filter(({ obstacle }) => obstacle === undefined)
    .map((stream) => ({ stream, points: pointsOf(stream, roles) }));
  const declined = obstaclesOf(streams);
  if (free.length === 0) return { rewrites: 0, declined };
  const pointStatistics = await measure(
    graph,
    free.flatMap(({ points }) => points),
    context,
  );
  const offsets = centre(graph, roles, free, pointStatistics);
  const scales = new Map<Node, PerChannel>();
  for (const { stream, points } of free) {
    const sizes = points.map((node) => pointStatistics.get(node)?.size(offsets.values.get(node)));
    const ranges = scaleOf(sizes.filter((size) => size !== undefined));
    const { scale, clamped } = clampedScale(balancedScale(ranges, readersOf(points, roles, pointStatistics, offsets)));
    for (const node of stream.values) scales.set(node, scale);
    if (clamped.length > 0) {
      declined.push(
        `${points[0]?.name}: channels ${clamped.join(', ')} stand out too far, scaled as far as f32 allows`,
      );
    }
  }
  applyGauges(graph, roles, scales, offsets);
  // What keys got in their bias needs no care: drop-key-bias runs later.
  if (offsets.values.size > 0) await moveValueBias.run(graph, context);
  return { rewrites: free.length, declined };
}

/** Lists the linears that read a stream's values, as they are or moved, with the channels' sizes and powers there. */
function readersOf(
  points: readonly Node[],
  roles: ReadonlyMap<Node, Role>,
  pointStatistics: ReadonlyMap<Node, PointStatistics>,
  offsets: Offsets,
): StreamReader[] {
  const readers: StreamReader[] = [];
  const visit = (node: Node, size: PerChannel, power: PerChannel): void => {
    for (const user of node.users) {
      const relation = roles.get(user)?.inputs[user.inputs.indexOf(node)];
      const weight = user.op === 'linear' && relation === 'absorbed' ? user.inputs[1] : undefined;
      if (weight?.op === 'constant') readers.push({ weight: weight.tensor, size, power });
      else if (relation === 'same' && user.op !== 'add') visit(user, size, power);
    }
  };
  for (const node of points) {
    const offset = offsets.values.get(node);
    const statistics = pointStatistics.get(node);
    const power = statistics?.power(offset);
    if (statistics && power) visit(node, statistics.size(offset), power);
  }
  return readers;
}

/** Plans the offsets that centre the points of all free streams; none where that is impossible. */
function centre(
  graph: Graph,
  roles: ReadonlyMap<Node, Role>,
  free: readonly { readonly stream: Stream }[],
  pointStatistics: ReadonlyMap<Node, PointStatistics>,
): Offsets {
  const centres = new Map<Node, PerChannel>();
  for (const [node, point] of pointStatistics) if (point.centre) centres.set(node, point.centre);
  const restored = new Set(free.flatMap(({ stream }) => stream.values));
  return planOffsets(graph, roles, centres, restored) ?? { values: new Map(), constants: new Map() };
}

/** Writes one line for all streams that have the same obstacle: a model with LayerNorm has it in every layer, twice. */
function obstaclesOf(streams: readonly Stream[]): string[] {
  const byObstacle = new Map<string, string[]>();
  for (const { obstacle, values } of streams) {
    if (obstacle === undefined) continue;
    const name = values.at(-1)?.name ?? '';
    byObstacle.set(obstacle, [...(byObstacle.get(obstacle) ?? []), name]);
  }
  return [...byObstacle].map(([obstacle, [first, ...others]]) =>
    others.length === 0 ? `${first}: ${obstacle}` : `${first} and ${others.length} more: ${obstacle}`,
  );
}

/**
 * Equalizes the channels of residual streams. A stream x may be stored as x̂ with x = D∘x̂ + e: what writes it divides
 * by D, what reads it multiplies, and each point has an e of its own. D is chosen so that all channels have about the
 * same range, D[channel] = geometric mean over the stream's points of size[channel] / mean size, or nearer to what
 * gives the readers' weights columns of one size, where the calibration samples say that this leaves less noise
 * (`balancedScale`); e is the middle of a channel's range. Published models have values as large in one channel as in
 * all others together; once equalized, these cost integer forms nothing. Exact up to f32 rounding; where a stream is an
 * output of the graph, one mul and one add restore it. Without calibration samples sizes are guessed from the weights,
 * and nothing is centred.
 */
export const equalizeStreams: Pass = {
  name: 'equalize-streams',
  summary: 'x + linear(h)  ->  (x - e)/D + linear(h), with D and e in the linears around the residual stream',
  keeps: 'values',
  run,
};
