import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { readF32, takeF32, tensorOf } from '../../ir/tensor.ts';

/**
 * Moves a linear's bias into the bias of the one linear that reads it, or reads a slice of it: W2 (x + b) + c = W2 x +
 * (c + W2 b). TensorFlow's converter writes it there, together with a norm between the two; other tools leave it.
 */
export const forwardBias: Pass = {
  name: 'forward-bias',
  summary: 'linear(linear(x) + b)  ->  linear(linear(x)) + W b',
  keeps: 'values',
  run(graph) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op !== 'linear' || node.attrs.activation !== 'none' || node.type.quant !== undefined) continue;
      const bias = node.inputs[2];
      if (!isFloats(bias) || graph.isOutput(node)) continue;
      rewrites += forward(graph, node, bias);
    }
    return { rewrites, declined: [] };
  },
};

/** Moves what it can of a linear's bias and counts the readers that took a part. */
function forward(graph: Graph, node: Call<'linear'>, bias: Constant): number {
  const values = takeF32(bias.tensor);
  let moved = 0;
  for (const { reader, start, end } of readersOf(graph, node, values.length)) {
    const part = values.subarray(start, end);
    if (part.every((value) => value === 0)) continue;
    const sum = plus(reader, part);
    const name = reader.inputs[2]?.name ?? `${reader.name}.bias`;
    const readerBias = graph.constant(tensorOf('f32', [sum.length], sum), name);
    const [x, weight] = reader.inputs as readonly [Node, Node];
    graph.replace(reader, () => graph.add('linear', [x, weight, readerBias], reader.attrs, reader.name));
    part.fill(0);
    moved++;
  }
  if (moved === 0) return 0;
  const remainder = graph.constant(tensorOf('f32', [values.length], values), bias.name);
  const [x, weight] = node.inputs as readonly [Node, Node];
  graph.replace(node, () => graph.add('linear', [x, weight, remainder], node.attrs, node.name));
  return moved;
}

/** A linear that is the only reader of some channels of another. */
interface Reader {
  readonly reader: Call<'linear'>;
  /** The first channel of the bias that it reads. */
  readonly start: number;
  /** The channel after the last that it reads. */
  readonly end: number;
}

function readersOf(graph: Graph, node: Node, width: number): Reader[] {
  const only = onlyLinear(graph, node);
  if (only) return [{ reader: only, start: 0, end: width }];
  const slices = [...node.users];
  const readers = slices.flatMap((slice): Reader[] => {
    if (slice.op !== 'slice' || slice.type.quant !== undefined) return [];
    const { axis, start, end } = slice.attrs;
    const isLast = axis === -1 || axis === slice.type.shape.length - 1;
    const reader = isLast && typeof end === 'number' ? onlyLinear(graph, slice) : undefined;
    return reader ? [{ reader, start, end: end as number }] : [];
  });
  // Two readers of the same channels would both need the bias, which only one of them would get.
  const areApart = slices.every((slice) => slice.op === 'slice') && !overlap(slices as readonly Call<'slice'>[]);
  return areApart ? readers : [];
}

function overlap(slices: readonly Call<'slice'>[]): boolean {
  const sorted = slices.toSorted((a, b) => a.attrs.start - b.attrs.start);
  return sorted.some(({ attrs }, i) => i > 0 && attrs.start < Number(sorted[i - 1]?.attrs.end));
}

/** The linear that is the only reader of `node`. */
function onlyLinear(graph: Graph, node: Node): Call<'linear'> | undefined {
  const [reader, ...others] = node.users;
  if (reader?.op !== 'linear' || others.length > 0 || reader.inputs[0] !== node) return undefined;
  if (reader.type.quant !== undefined || graph.isOutput(node)) return undefined;
  const [, weight, bias] = reader.inputs;
  return isFloats(weight) && (bias === undefined || isFloats(bias)) ? reader : undefined;
}

/** Computes c + W b, W and c being the reader's weight and bias. */
function plus(reader: Call<'linear'>, b: Float32Array): Float32Array {
  const [, weight, bias] = reader.inputs as readonly [Node, Constant, Constant?];
  const [rows, width] = weight.tensor.shape as readonly [number, number];
  const weights = readF32(weight.tensor);
  const sum = bias ? takeF32(bias.tensor) : new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let total = sum[row] as number;
    for (let i = 0; i < width; i++) total += (weights[row * width + i] as number) * (b[i] as number);
    sum[row] = total;
  }
  return sum;
}

function isFloats(node: Node | undefined): node is Constant {
  return node?.op === 'constant' && node.type.quant === undefined && node.tensor.dtype !== 'i32';
}
