import type { Graph, Node } from '../ir/graph.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import type { PerChannel } from './affine.ts';
import { moveValueBias } from './move-value-bias.ts';
import { applyGauges } from './streams/apply-gauges.ts';
import { balancedScale, type StreamReader } from './streams/stream-balance.ts';
import { type Offsets, planOffsets } from './streams/stream-offsets.ts';
import { clampedScale, guessSizes, scaleOf } from './streams/stream-scales.ts';
import { findStreams, type Role, type Stream } from './streams/streams.ts';

/** Where a stream's values are computed that a linear reads, there or further down. */
function pointsOf({ values }: Stream, roles: ReadonlyMap<Node, Role>): Node[] {
  const isRead = (node: Node): boolean =>
    [...node.users].some((user) => {
      const role = roles.get(user);
      const relation = role?.inputs[user.inputs.indexOf(node)];
      return relation === 'absorbed' || (relation === 'same' && user.op !== 'add' && isRead(user));
    });
  return values.filter((node) => (node.op === 'add' || roles.get(node)?.result === 'free') && isRead(node));
}

/** The largest distance of each channel from its offset at a point, and the offset that makes it smallest. */
interface Measured {
  readonly centre: PerChannel | undefined;
  size(offset: PerChannel | undefined): PerChannel;
  /** The mean square of each channel, the offset taken off; undefined where nothing was run. */
  power(offset: PerChannel | undefined): PerChannel | undefined;
}

/** By running the calibration samples, or where there are none by what the weights suggest. */
async function measure(graph: Graph, points: readonly Node[], context: PassContext): Promise<Map<Node, Measured>> {
  const measured = new Map<Node, Measured>();
  const statistics = await context.statistics?.(points.map((node) => ({ node, channels: true })));
  const guesses = statistics ? undefined : guessSizes(graph);
  for (const node of points) {
    const guess = guesses?.get(node);
    const found = statistics?.get(node.name)?.channels;
    if (guess) measured.set(node, { centre: undefined, size: () => guess, power: () => undefined });
    if (!found) continue;
    const { min, max, mean, rms } = found;
    measured.set(node, {
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
  return measured;
}

async function run(graph: Graph, context: PassContext): Promise<PassReport> {
  const { roles, streams } = findStreams(graph, context);
  const free = streams
    .filter(({ obstacle }) => obstacle === undefined)
    .map((stream) => ({ stream, points: pointsOf(stream, roles) }));
  const declined = obstaclesOf(streams);
  if (free.length === 0) return { rewrites: 0, declined };
  const measured = await measure(
    graph,
    free.flatMap(({ points }) => points),
    context,
  );
  const offsets = centre(graph, roles, free, measured);
  const scales = new Map<Node, PerChannel>();
  for (const { stream, points } of free) {
    const sizes = points.map((node) => measured.get(node)?.size(offsets.values.get(node)));
    const ranges = scaleOf(sizes.filter((size) => size !== undefined));
    const { scale, clamped } = clampedScale(balancedScale(ranges, readersOf(points, roles, measured, offsets)));
    for (const node of stream.values) scales.set(node, scale);
    if (clamped.length > 0) {
      declined.push(
        `${points[0]?.name}: channels ${clamped.join(', ')} stand out too far, scaled as far as f32 allows`,
      );
    }
  }
  applyGauges(graph, roles, scales, offsets);
  // Keys need no care: drop-key-bias comes later.
  if (offsets.values.size > 0) await moveValueBias.run(graph, context);
  return { rewrites: free.length, declined };
}

/** Linears that read a stream's values as such, or moved. */
function readersOf(
  points: readonly Node[],
  roles: ReadonlyMap<Node, Role>,
  measured: ReadonlyMap<Node, Measured>,
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
    const found = measured.get(node);
    const power = found?.power(offset);
    if (found && power) visit(node, found.size(offset), power);
  }
  return readers;
}

function centre(
  graph: Graph,
  roles: ReadonlyMap<Node, Role>,
  free: readonly { readonly stream: Stream }[],
  measured: ReadonlyMap<Node, Measured>,
): Offsets {
  const centres = new Map<Node, PerChannel>();
  for (const [node, { centre: found }] of measured) if (found) centres.set(node, found);
  const restored = new Set(free.flatMap(({ stream }) => stream.values));
  return planOffsets(graph, roles, centres, restored) ?? { values: new Map(), constants: new Map() };
}

/** One line for all streams that have the same obstacle: a model with LayerNorm has it in every layer, twice. */
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
 * A residual stream x may be stored as x̂ with x = D∘x̂ + e: what writes it divides by D, what reads it multiplies, and
 * each point has an e of its own. D is chosen so that all channels have about the same range, D[channel] = geometric
 * mean over the stream's points of size[channel] / mean size, or nearer to what weights want, where the calibration samples
 * say that this leaves less noise (`balancedScale`); e is the middle of a channel's range. Values as large in
 * one channel as in all others together, which published models have, then cost integer forms nothing. Exact up to f32
 * rounding; an exposed stream is restored by one mul and add. Without calibration samples sizes are guessed from the
 * weights, and nothing is centred.
 */
export const equalizeStreams: Pass = {
  name: 'equalize-streams',
  summary: 'x + linear(h)  ->  (x - e)/D + linear(h), with D and e in the linears around the residual stream',
  keeps: 'values',
  run,
};
