import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import {
  absorbColumns,
  affineTable,
  type Gauge,
  type PerChannel,
  perChannel,
  reciprocal,
  scaledRows,
  sum,
  timesPlus,
  timesVector,
  vectorTensor,
} from '../affine.ts';
import type { Offsets } from './stream-offsets.ts';
import type { Role } from './streams.ts';

/**
 * Stores every node of `scales` and `offsets` as (value - offset) / scale: constants around the nodes change, nothing
 * else. An output of the graph is restored by a mul and an add.
 */
export function applyGauges(
  graph: Graph,
  roles: ReadonlyMap<Node, Role>,
  scales: ReadonlyMap<Node, PerChannel>,
  offsets: Offsets,
): void {
  const gauges = new Map<Node, Gauge>();
  for (const node of graph.nodes()) {
    const gauge = { scale: scales.get(node) ?? null, offset: offsets.values.get(node) ?? null };
    if (gauge.scale || gauge.offset) gauges.set(node, gauge);
  }
  for (const node of graph.nodes()) {
    const role = roles.get(node);
    if (role === undefined) continue;
    const replacement = rewritten(graph, node, role, gauges, offsets);
    if (replacement === null) continue;
    const gauge = gauges.get(node);
    if (gauge) gauges.set(replacement, gauge);
    graph.replace(node, () => replacement);
  }
  for (const { name, node } of [...graph.outputs]) {
    const gauge = gauges.get(node);
    if (gauge) graph.replaceOutput(name, name, restored(graph, node, gauge));
  }
}

/** Builds the node with other constants; null where it needs none. */
function rewritten(
  graph: Graph,
  node: Node,
  role: Role,
  gauges: ReadonlyMap<Node, Gauge>,
  offsets: Offsets,
): Node | null {
  const read = node.inputs.find((_, i) => role.inputs[i] === 'absorbed');
  const from = (read && gauges.get(read)) ?? NONE;
  const to = gauges.get(node) ?? NONE;
  if (node.op === 'add') return shiftedSum(graph, node, to.scale, offsets.constants.get(node) ?? null);
  if (role.result !== 'free' || (from === NONE && to === NONE)) return null;
  switch (node.op) {
    case 'linear':
      return gaugedLinear(graph, node, from, to);
    case 'conv1d':
      return gaugedConvolution(graph, node, to);
    case 'noNorm':
      return gaugedNorm(graph, node, from, to);
    case 'mul':
      return gaugedProduct(graph, node, from, to);
    default: {
      const [table, ...rest] = node.inputs as readonly [Constant, ...Node[]];
      const call = node as Call;
      return graph.add(call.op, [gaugedConstant(graph, table, to), ...rest], call.attrs, call.name);
    }
  }
}

/** The gauge of a value that is stored as it is. */
const NONE: Gauge = { scale: null, offset: null };

/** Moves a linear between gauges, W (D x̂ + e) + b = E ŷ + f: W becomes W D / E, the bias (b + W e - f) / E. */
function gaugedLinear(graph: Graph, node: Call<'linear'>, from: Gauge, to: Gauge): Node {
  const [x, weight, bias] = node.inputs as readonly [Node, Constant, Constant?];
  const rows = to.scale && reciprocal(to.scale);
  let { tensor } = weight;
  let added = bias ? perChannel(bias.tensor) : null;
  if (from.scale) {
    const absorbed = absorbColumns(tensor, from.scale, from.offset);
    added = sum(added, absorbed.product);
    tensor = absorbed.weight;
  } else if (from.offset) added = sum(added, timesVector(tensor, from.offset));
  // In place where `absorbColumns` has just created the tensor, so that it has no other reader.
  if (rows) tensor = scaledRows(tensor, rows, from.scale !== null);
  added = stored(added, to);
  const inputs = [x, graph.constant(tensor, weight.name)];
  if (added) inputs.push(graph.constant(vectorTensor(added), bias?.name ?? `${node.name}.bias`));
  return graph.add('linear', inputs, node.attrs, node.name);
}

/** Stores a convolution's result in a gauge; its input has none. */
function gaugedConvolution(graph: Graph, node: Call<'conv1d'>, to: Gauge): Node {
  const [x, weight, bias] = node.inputs as readonly [Node, Constant, Constant?];
  const { shape } = weight.tensor;
  const flat = { ...weight.tensor, shape: [shape[0] as number, (shape[1] as number) * (shape[2] as number)] };
  const tensor = to.scale ? { ...scaledRows(flat, reciprocal(to.scale)), shape } : weight.tensor;
  const added = stored(bias ? perChannel(bias.tensor) : null, to);
  const inputs = [x, graph.constant(tensor, weight.name)];
  if (added) inputs.push(graph.constant(vectorTensor(added), bias?.name ?? `${node.name}.bias`));
  return graph.add('conv1d', inputs, node.attrs, node.name);
}

/** Moves a norm between gauges, g∘(D x̂ + e) + c = E ŷ + f: gamma becomes g D / E, beta (c + g e - f) / E. */
function gaugedNorm(graph: Graph, node: Call<'noNorm'>, from: Gauge, to: Gauge): Node {
  const [x, gamma, beta] = node.inputs as readonly [Node, Constant, Constant];
  const g = perChannel(gamma.tensor);
  const c = from.offset ? timesPlus(from.offset, g, perChannel(beta.tensor)) : perChannel(beta.tensor);
  const factor = stored(timesPlus(from.scale, g, null), { ...to, offset: null });
  const addend = stored(c, to);
  return graph.add(
    'noNorm',
    [
      x,
      graph.constant(vectorTensor(factor as PerChannel), gamma.name),
      graph.constant(vectorTensor(addend as PerChannel), beta.name),
    ],
    {},
    node.name,
  );
}

/**
 * Moves a product with a constant between gauges, k∘(D x̂ + e) = E ŷ + f with f = k e, which the sum after it takes up:
 * k becomes k D / E.
 */
function gaugedProduct(graph: Graph, node: Call<'mul'>, from: Gauge, to: Gauge): Node {
  const constantAt = node.inputs[0]?.op === 'constant' ? 0 : 1;
  const constant = node.inputs[constantAt] as Constant;
  const channels = (from.scale ?? to.scale)?.length;
  if (channels === undefined) return node;
  const factor = channelVector(perChannel(constant.tensor), channels);
  const scaled = stored(timesPlus(from.scale, factor, null), { ...to, offset: null }) as PerChannel;
  const scaledConstant = graph.constant(vectorTensor(scaled), constant.name);
  return graph.add('mul', [node.inputs[1 - constantAt] as Node, scaledConstant], {}, node.name);
}

/** Builds a sum with its constant side changed; null where no side is constant or nothing changes. */
function shiftedSum(graph: Graph, node: Call<'add'>, scale: PerChannel | null, offset: PerChannel | null): Node | null {
  const constant = node.inputs.find(({ op }) => op === 'constant') as Constant | undefined;
  if (constant === undefined || (!scale && !offset)) return null;
  const gauged = gaugedConstant(graph, constant, { scale, offset });
  return graph.add(
    'add',
    node.inputs.map((input) => (input === constant ? gauged : input)),
    {},
    node.name,
  );
}

/** Builds (table - offset) / scale. */
function gaugedConstant(graph: Graph, { tensor, name }: Constant, gauge: Gauge): Constant {
  const channels = tensor.shape.at(-1) as number;
  const factor = gauge.scale ? reciprocal(gauge.scale) : new Float64Array(channels).fill(1);
  const addend = stored(new Float64Array(channels), gauge) as PerChannel;
  return graph.constant(affineTable(tensor, factor, addend), name);
}

/** Computes (value - offset) / scale, where null stands for zeros. */
function stored(value: PerChannel | null, { scale, offset }: Gauge): PerChannel | null {
  const shifted = offset
    ? sum(
        value,
        offset.map((entry) => -entry),
      )
    : value;
  return shifted && scale ? shifted.map((entry, c) => entry / (scale[c] as number)) : shifted;
}

/** Builds the real value of a stored one. */
function restored(graph: Graph, node: Node, { scale, offset }: Gauge): Node {
  let value = node;
  if (scale) value = graph.add('mul', [value, graph.constant(vectorTensor(scale), `${node.name}.scale`)]);
  if (offset) value = graph.add('add', [value, graph.constant(vectorTensor(offset), `${node.name}.offset`)]);
  return value;
}

/** Repeats one number for all channels as a number for each. */
function channelVector(values: PerChannel, channels: number): PerChannel {
  return values.length === 1 ? new Float64Array(channels).fill(values[0] as number) : values;
}
