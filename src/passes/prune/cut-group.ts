import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Dim } from '../../ir/shape.ts';
import { readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import { columnsOf } from '../../solve/rows.ts';
import type { ConstantLinear } from '../attention.ts';
import type { PruneGroup } from './groups.ts';

/** Channels of a linear that are left of a cut, in ascending order. */
export type KeptChannels = Int32Array;

/** Takes all units but `kept` out of a graph. Returns the channels that are left of each writer, by its name. */
export function cutGroup(graph: Graph, group: PruneGroup, kept: readonly number[]): Map<string, KeptChannels> {
  const { reader, writers, between, count } = group;
  const rebuilt = new Map<Node, Node>();
  const channels = new Map<string, KeptChannels>();
  for (const writer of writers) {
    const { name } = writer.node;
    const rows = channelsOf(kept, (writer.weight.tensor.shape[0] as number) / count);
    channels.set(name, rows);
    rebuilt.set(writer.node, cutRows(graph, writer, rows));
  }
  for (const node of between) {
    const inputs = node.inputs.map((input) => rebuilt.get(input) ?? input);
    const attrs = node.op === 'reshape' ? { shape: narrowed(node, count, kept.length) } : node.attrs;
    rebuilt.set(node, graph.add(node.op, inputs, attrs as never, node.name));
  }
  const { node, weight, bias } = reader;
  const columns = channelsOf(kept, (weight.tensor.shape[1] as number) / count);
  graph.replace(node, () => {
    const cut = graph.constant(pickColumns(weight.tensor, columns), weight.name);
    const x = rebuilt.get(reader.x) as Node;
    return graph.add('linear', bias ? [x, cut, bias] : [x, cut], node.attrs, node.name);
  });
  return channels;
}

/** The channels of some units, `size` neighbouring ones each. */
export function channelsOf(units: readonly number[], size: number): KeptChannels {
  const channels = new Int32Array(units.length * size);
  for (const [i, unit] of units.entries()) for (let c = 0; c < size; c++) channels[i * size + c] = unit * size + c;
  return channels;
}

function cutRows(graph: Graph, { node, weight, bias }: ConstantLinear, rows: KeptChannels): Node {
  const inputs = [node.inputs[0] as Node, graph.constant(pickRows(weight.tensor, rows), weight.name)];
  if (bias) inputs.push(graph.constant(pickRows(bias.tensor, rows), bias.name));
  return graph.add('linear', inputs, node.attrs, node.name);
}

/** The shape of a split into heads, [batch, sequence, heads, size], or of joined ones, with fewer of them. */
function narrowed({ attrs: { shape } }: Call<'reshape'>, count: number, left: number): Dim[] {
  const axis = shape.length === 4 ? 2 : shape.length - 1;
  return shape.map((dim, i) => (i === axis ? ((dim as number) / count) * left : dim));
}

/** Takes rows of a matrix, or numbers of a vector. */
export function pickRows(tensor: Tensor, rows: ArrayLike<number>): Tensor {
  const [count = 0, width = 1] = tensor.shape;
  const values = readF32(tensor);
  const picked = new Float32Array(rows.length * (tensor.shape.length === 1 ? 1 : width));
  const size = values.length / count;
  for (let i = 0; i < rows.length; i++) {
    const from = (rows[i] as number) * size;
    picked.set(values.subarray(from, from + size), i * size);
  }
  return tensorOf('f32', [rows.length, ...tensor.shape.slice(1)], picked);
}

/** Takes columns of a matrix. */
export function pickColumns(tensor: Tensor, columns: ArrayLike<number>): Tensor {
  const [rows, width] = tensor.shape as readonly [number, number];
  const picked = columnsOf({ values: readF32(tensor), rows, columns: width }, columns);
  return tensorOf('f32', [rows, columns.length], picked);
}
