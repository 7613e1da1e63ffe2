import type { Graph, Node } from '../ir/graph.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import type { Statistics } from '../ir/statistics.ts';
import { type PerChannel, perChannel, sum, timesVector, vectorTensor } from './affine.ts';
import { type ConstantLinear, constantLinear, contextOf, hasOneUse, projectionOf } from './attention.ts';
import { scoresOf } from './drop-key-bias.ts';

/** A linear whose results are centred: a key's, or a value's with the linears that read attention's context. */
interface Site {
  readonly linear: ConstantLinear;
  readonly readers: readonly Node[];
}

function sitesOf(graph: Graph, context: PassContext): Site[] {
  const sites: Site[] = [];
  for (const node of graph.nodes()) {
    const scores = node.op === 'softmax' ? scoresOf(graph, node) : null;
    const key = scores !== null && typeof scores !== 'string' ? projectionOf(graph, scores.inputs[1] as Node) : null;
    if (key) sites.push({ linear: key.linear, readers: [] });
    const output = constantLinear(node);
    const joined = output && hasOneUse(graph, output.x) ? contextOf(graph, output.x) : null;
    if (joined !== null && typeof joined !== 'string') sites.push({ linear: joined.value.linear, readers: [node] });
  }
  return sites.filter(({ linear, readers }) => ![linear.node, ...readers].some((node) => context.keeps(node)));
}

/** The middle of each channel's range on the calibration samples. */
function centreOf(statistics: Statistics, node: Node): PerChannel | undefined {
  const channels = statistics.get(node.name)?.channels;
  return channels?.max.map((max, c) => (max + (channels.min[c] as number)) / 2);
}

/** Adds `change` to the bias of the linear `node`. */
function addToBias(graph: Graph, node: Node, change: PerChannel): void {
  const linear = constantLinear(node);
  if (linear === null) return;
  const { x, weight, bias } = linear;
  const values = sum(change, bias ? perChannel(bias.tensor) : null) ?? change;
  const sumBias = graph.constant(vectorTensor(values), bias?.name ?? `${node.name}.bias`);
  graph.replace(node, () => graph.add('linear', [x, weight, sumBias], linear.node.attrs, node.name));
}

async function run(graph: Graph, context: PassContext): Promise<PassReport> {
  const sites = sitesOf(graph, context);
  if (sites.length === 0) return { rewrites: 0, declined: [] };
  if (!context.statistics) return { rewrites: 0, declined: [`${graph.name}: centres need calibration samples`] };
  const statistics = await context.statistics(sites.map(({ linear }) => ({ node: linear.node, channels: true })));
  for (const { linear, readers } of sites) {
    const centre = centreOf(statistics, linear.node);
    if (centre === undefined) continue;
    const shift = readers.map((reader) =>
      timesVector((constantLinear(reader) as ConstantLinear).weight.tensor, centre),
    );
    addToBias(
      graph,
      linear.node,
      centre.map((value) => -value),
    );
    readers.forEach((reader, i) => {
      addToBias(graph, reader, shift[i] as PerChannel);
    });
  }
  return { rewrites: sites.length, declined: [] };
}

/**
 * Centres keys and values around zero: where attention is computed in integers they are stored without a zero point, so
 * that a range off centre costs precision. q·(k_j - e) = q·k_j - q·e changes a whole row of scores alike, which softmax
 * does not see; rows of softmax sum to 1, so that P (V - 1 fᵀ) = P V - 1 fᵀ, and W f in the bias of the linear that
 * follows gives it back.
 */
export const centreAttention: Pass = {
  name: 'centre-attention',
  summary: 'softmax(q @ k) @ v  ->  softmax(q @ (k - e)) @ (v - f), with W f in the bias of the linear behind',
  keeps: 'values',
  run,
};
