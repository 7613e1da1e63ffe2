import { expect } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Call, Constant, Graph, Node } from '../../src/ir/graph.ts';
import { roundToEven } from '../../src/ir/quantized.ts';
import { type Quant, readF32, type Tensor, type TensorType, tensorOf } from '../../src/ir/tensor.ts';
import { graphOf } from '../core.ts';

type Feeds = readonly ReadonlyMap<string, Tensor>[];

/** Rows of a matrix as integers of `-most` to `most`, a scale each; with `block`, each that many elements of a row. */
function quantizedRows(tensor: Tensor, most: number, block?: number): { tensor: Tensor; quant: Quant } {
  const [rows, width] = tensor.shape as readonly [number, number];
  const size = block ?? width;
  const blocks = Math.ceil(width / size);
  const values = readF32(tensor);
  const scales = new Float32Array(rows * blocks);
  const stored = new Int8Array(rows * width);
  for (let r = 0; r < rows; r++) {
    for (let b = 0; b < blocks; b++) {
      const [start, end] = [r * width + b * size, r * width + Math.min((b + 1) * size, width)];
      let largest = 1e-12;
      for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(values[i] as number));
      const scale = Math.fround(largest / most);
      scales[r * blocks + b] = scale;
      for (let i = start; i < end; i++) stored[i] = roundToEven((values[i] as number) / scale);
    }
  }
  const quant: Quant = block ? { per: 'block', axis: 1, size: block, scales } : { per: 'channel', axis: 0, scales };
  if (most > 7) return { tensor: tensorOf('i8', tensor.shape, stored), quant };
  const packed = new Uint8Array(Math.ceil(stored.length / 2));
  stored.forEach((value, i) => {
    packed[i >> 1] = (packed[i >> 1] as number) | ((value & 15) << ((i & 1) * 4));
  });
  return { tensor: tensorOf('i4', tensor.shape, packed), quant };
}

/** Stores a weight as `quantizedRows` makes it, for all its readers. */
export function quantizeRows(graph: Graph, weight: Constant, most = 127, block?: number): void {
  const { tensor, quant } = quantizedRows(weight.tensor, most, block);
  graph.replace(weight, () => graph.constant(tensor, weight.name, quant));
}

export function linearsOf(graph: Graph): Call<'linear'>[] {
  return graph.nodes().filter((node) => node.op === 'linear');
}

/** The largest and least value of nodes over all feeds, zero included. */
function rangesOf(graph: Graph, nodes: readonly Node[], feeds: Feeds): ReadonlyMap<Node, readonly [number, number]> {
  const ranges = new Map<Node, [number, number]>(nodes.map((node) => [node, [0, 0]]));
  for (const feed of feeds) {
    const values = evaluate(graph, feed, nodes);
    for (const [node, range] of ranges) {
      for (const value of readF32(values.get(node.name) as Tensor)) {
        range[0] = Math.min(range[0], value);
        range[1] = Math.max(range[1], value);
      }
    }
  }
  return ranges;
}

/** u8 between the ends of a range; i16 symmetric around 0. */
export function activationType(node: Node, [least, most]: readonly [number, number], dtype: 'u8' | 'i16'): TensorType {
  const scale = dtype === 'u8' ? (most - least || 1) / 255 : (Math.max(most, -least) || 1) / 32767;
  const zeroPoint = dtype === 'u8' ? roundToEven(-least / scale) : 0;
  return { dtype, shape: node.type.shape, quant: { per: 'tensor', scale, zeroPoint } };
}

/**
 * Linears that compute on integers: weights i8 per channel, what they read quantized by minimum and maximum over the
 * feeds, once for all that read it; a linear with relu that only linears read is stored in u8 itself.
 */
export function quantizeStatic(
  graph: Graph,
  feeds: Feeds,
  takes: (node: Call<'linear'>) => boolean = () => true,
  dtype: 'u8' | 'i16' = 'u8',
): number {
  const chosen = linearsOf(graph).filter((node) => node.inputs[1]?.op === 'constant' && takes(node));
  const sources = [...new Set(chosen.map(({ inputs }) => inputs[0] as Node))];
  const ranges = rangesOf(graph, sources, feeds);
  // By name, as the linears that are replaced below may be sources themselves.
  const copies = new Map<string, Node>();
  const types = new Map<string, TensorType>();
  for (const source of sources) {
    const type = activationType(source, ranges.get(source) as readonly [number, number], dtype);
    if (source.op === 'linear' && source.attrs.activation === 'relu' && onlyLinearsRead(graph, source, chosen)) {
      types.set(source.name, type);
      continue;
    }
    const copy = graph.add('quantize', [source], {}, `${source.name}.quantized`);
    graph.setType(copy, type);
    copies.set(source.name, copy);
  }
  for (const weight of new Set(chosen.map(({ inputs }) => inputs[1] as Constant))) quantizeRows(graph, weight);
  for (const node of chosen) {
    const [x, ...rest] = node.inputs as readonly [Node, Node, Node?];
    graph.replace(node, () => {
      const inputs = [copies.get(x.name) ?? x, ...rest] as readonly Node[];
      const made = graph.add('linear', inputs, node.attrs, node.name);
      graph.setType(made, types.get(made.name) ?? made.type);
      return made;
    });
  }
  return chosen.length;
}

function onlyLinearsRead(graph: Graph, node: Node, linears: readonly Node[]): boolean {
  if (graph.outputs.some((output) => output.node === node)) return false;
  return [...node.users].every((user) => linears.includes(user) && user.inputs[0] === node);
}

/** Linears that read f32 and have i8 weights. */
export function quantizeDynamic(graph: Graph, takes: (node: Call<'linear'>) => boolean = () => true): number {
  const weights = new Set<Constant>();
  let count = 0;
  for (const node of linearsOf(graph)) {
    const weight = node.inputs[1] as Node;
    if (weight.op !== 'constant' || !takes(node)) continue;
    weights.add(weight);
    count++;
  }
  for (const weight of weights) quantizeRows(graph, weight);
  return count;
}

/** Spells out how linears of f32 and integer weights round what they read, for the reference to do the same. */
export function roundDynamically(graph: Graph): void {
  const copies = new Map<string, Node>();
  for (const node of linearsOf(graph)) {
    const [x, weight, ...rest] = node.inputs as readonly [Node, Node, Node?];
    if (x.type.quant || !weight.type.quant) continue;
    const copy = copies.get(x.name) ?? graph.add('dynamicRound', [x], {}, `${x.name}.rounded`);
    copies.set(x.name, copy);
    graph.replace(node, () => graph.add('linear', [copy, weight, ...rest] as readonly Node[], node.attrs, node.name));
  }
}

/** Embedding tables in i8, a scale for each row. */
export function quantizeTables(graph: Graph): number {
  const tables = new Set<Constant>();
  for (const node of graph.nodes()) {
    const table = node.inputs[0];
    if ((node.op === 'gather' || node.op === 'slice') && table?.op === 'constant' && table.type.shape.length === 2) {
      if (!table.type.quant) tables.add(table);
    }
  }
  for (const table of tables) quantizeRows(graph, table);
  return tables.size;
}

/** The graph with every linear's weight in integers of up to `most`, a scale per row or per `block` of it. */
export function withRows(text: string, most = 127, block?: number): Graph {
  const graph = graphOf(text);
  const weights = new Set(linearsOf(graph).map(({ inputs }) => inputs[1] as Constant));
  for (const weight of weights) if (!weight.type.quant) quantizeRows(graph, weight, most, block);
  return graph;
}

export function constantOf(graph: Graph, name: string): Constant {
  const found = graph.nodes().find((node) => node.name === name);
  return found?.op === 'constant' ? found : expect.fail(`${name} is no constant`);
}

/** Puts zero points into a constant's type. */
export function withZeroPoints(graph: Graph, name: string, zeroPoints: Int32Array): Graph {
  const { tensor, type } = constantOf(graph, name);
  const quant = { ...type.quant, zeroPoints } as Quant;
  graph.replace(constantOf(graph, name), () => graph.constant(tensor, name, quant));
  return graph;
}
