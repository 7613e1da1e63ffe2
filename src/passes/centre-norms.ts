import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Pass, PassContext } from '../ir/pass.ts';
import { keepsChannels } from '../ir/token-wise.ts';
import { type PerChannel, perChannel, sum, timesVector, vectorTensor } from './affine.ts';
import { constantLinear, hasOneUse } from './attention.ts';
import { moveValueBias } from './move-value-bias.ts';

/** The readers of a norm's result. */
interface Readers {
  /** Linears that read the result. */
  readonly reading: readonly Call<'linear'>[];
  /** Linears to whose result it is added. */
  readonly beside: readonly Call<'linear'>[];
}

/** Lists everything that reads the norm, if all of it can take up an offset; else says why not. */
function readersOf(graph: Graph, norm: Node): Readers | string {
  const reading: Call<'linear'>[] = [];
  const beside: Call<'linear'>[] = [];
  const stack: Node[] = [norm];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (graph.isOutput(at)) return `${at.name} is an output`;
    for (const user of at.users) {
      const writer = user.op === 'add' ? user.inputs.find((input) => input !== at) : undefined;
      const linear = constantLinear(user) ?? (writer && constantLinear(writer));
      if (movesTokens(user)) stack.push(user);
      else if (user.op === 'linear' && linear) reading.push(user);
      else if (linear && hasOneUse(graph, linear.node) && linear.node.attrs.activation === 'none')
        beside.push(linear.node);
      else return `${user.op} reads it`;
    }
  }
  return { reading, beside };
}

/** Whether a node is a reshape or slice that leaves the channels as they are. */
function movesTokens(node: Node): boolean {
  return (node.op === 'slice' || node.op === 'reshape') && keepsChannels(node);
}

async function run(graph: Graph, context: PassContext) {
  if (!context.statistics) return { rewrites: 0, declined: ['needs calibration samples'] };
  const declined: string[] = [];
  const readersByNorm = new Map<Call<'layerNorm'>, Readers>();
  for (const node of graph.nodes()) {
    if (node.op !== 'layerNorm' || node.inputs[2]?.op !== 'constant' || context.keeps(node)) continue;
    const readers = readersOf(graph, node);
    if (typeof readers === 'string') declined.push(`${node.name}: ${readers}`);
    else readersByNorm.set(node, readers);
  }
  const statistics = await context.statistics([...readersByNorm.keys()].map((node) => ({ node, channels: true })));
  const addedBias = new Map<Node, PerChannel>();
  for (const [norm, { reading, beside }] of readersByNorm) {
    const channels = statistics.get(norm.name)?.channels;
    if (channels === undefined) continue;
    const centre = channels.max.map((most, c) => (most + (channels.min[c] as number)) / 2);
    for (const linear of reading) {
      const weight = linear.inputs[1] as Node & { readonly op: 'constant' };
      addedBias.set(linear, sum(addedBias.get(linear) ?? null, timesVector(weight.tensor, centre)) as PerChannel);
    }
    for (const linear of beside) addedBias.set(linear, sum(addedBias.get(linear) ?? null, centre) as PerChannel);
    shiftNorm(graph, norm, centre);
  }
  for (const [linear, bias] of addedBias) addBias(graph, linear as Call<'linear'>, bias);
  // Attention's values that got a bias here pass it on again, so that it does not widen their range.
  if (addedBias.size > 0) await moveValueBias.run(graph, context);
  return { rewrites: readersByNorm.size, declined };
}

function shiftNorm(graph: Graph, norm: Call<'layerNorm'>, centre: PerChannel): void {
  const [x, gamma, beta] = norm.inputs as readonly [Node, Node, Node & { readonly op: 'constant' }];
  const shifted = perChannel(beta.tensor).map((value, c) => value - (centre[c] as number));
  graph.replace(norm, () =>
    graph.add('layerNorm', [x, gamma, graph.constant(vectorTensor(shifted), beta.name)], norm.attrs, norm.name),
  );
}

function addBias(graph: Graph, linear: Call<'linear'>, addend: PerChannel): void {
  const [x, weight, bias] = linear.inputs as readonly [Node, Node, Node?];
  const total = sum(addend, bias?.op === 'constant' ? perChannel(bias.tensor) : null) as PerChannel;
  const constant = graph.constant(vectorTensor(total), bias?.name ?? `${linear.name}.bias`);
  graph.replace(linear, () => graph.add('linear', [x, weight, constant], linear.attrs, linear.name));
}

/**
 * Centres the results of layer norms. Beta is an offset that everything after a LayerNorm can take up: in x = x̂ + e,
 * linears that read x add W e to their bias, and linears to whose result x is added add e to theirs. With e in the
 * middle of each channel's range, channels that are large but hardly vary, as BERTs have, no longer widen the range of
 * the whole tensor.
 */
export const centreNorms: Pass = {
  name: 'centre-norms',
  summary: 'linear(layerNorm(x))  ->  linear(layerNorm(x) - e) with W e in its bias: ranges around zero',
  keeps: 'values',
  run,
};
