import type { Call, Graph, Node } from '../../ir/graph.ts';
import { quietName } from '../../ir/smoothed.ts';
import { type Tensor, takeF32, tensorOf } from '../../ir/tensor.ts';
import type { ConstantLinear } from '../attention.ts';
import { pickColumns, pickRows } from '../prune/cut-group.ts';

/** The two linears of a feed-forward network with a GELU between. */
interface FeedForward {
  readonly up: ConstantLinear;
  readonly gelu: Call<'gelu'>;
  readonly down: ConstantLinear;
}

/** Builds the part of a feed-forward network's result that some of its neurons make, W[:, J] gelu(U[J] x + b[J]). */
export function sideNetwork(graph: Graph, { up, gelu, down }: FeedForward, neurons: readonly number[]): Node {
  const name = `${up.node.name}.neurons`;
  const inputs = [up.x, graph.constant(pickRows(up.weight.tensor, neurons), `${name}.weight`)];
  if (up.bias) inputs.push(graph.constant(pickRows(up.bias.tensor, neurons), `${name}.bias`));
  const first = graph.add('linear', inputs, up.node.attrs, name);
  const active = graph.add('gelu', [first], gelu.attrs, `${gelu.name}.neurons`);
  return columnsProduct(graph, active, down, neurons);
}

/** Builds the GELU of a feed-forward network anew, with some neurons at gelu(0) = 0. */
export function quietNeurons(graph: Graph, { up, gelu }: FeedForward, neurons: readonly number[]): Node {
  const { node, x, weight, bias } = up;
  const name = quietName(node.name);
  const inputs = [x, graph.constant(withoutRows(weight.tensor, neurons), `${name}.weight`)];
  if (bias) inputs.push(graph.constant(withoutRows(bias.tensor, neurons), `${name}.bias`));
  const quiet = graph.add('linear', inputs, node.attrs, name);
  return graph.add('gelu', [quiet], gelu.attrs, quietName(gelu.name));
}

/** Builds the part of a linear's result that some channels of what it reads make, W[:, J] x[J]. */
export function sideProduct(graph: Graph, reader: ConstantLinear, channels: readonly number[]): Node {
  const { x, weight } = reader;
  const width = weight.tensor.shape[1] as number;
  const ones = new Float32Array(channels.length * width);
  channels.forEach((channel, i) => {
    ones[i * width + channel] = 1;
  });
  // A narrow linear of ones, which fuse-bottleneck joins with the side networks that read the same value.
  const selection = graph.constant(tensorOf('f32', [channels.length, width], ones), `${x.name}.loud.weight`);
  return columnsProduct(graph, graph.add('linear', [x, selection], {}, `${x.name}.loud`), reader, channels);
}

function columnsProduct(graph: Graph, x: Node, { node, weight }: ConstantLinear, columns: readonly number[]): Node {
  const name = `${node.name}.side`;
  return graph.add('linear', [x, graph.constant(pickColumns(weight.tensor, columns), `${name}.weight`)], {}, name);
}

function withoutRows(tensor: Tensor, rows: readonly number[]): Tensor {
  const values = takeF32(tensor);
  const width = values.length / (tensor.shape[0] as number);
  for (const row of rows) values.fill(0, row * width, (row + 1) * width);
  return tensorOf('f32', tensor.shape, values);
}
