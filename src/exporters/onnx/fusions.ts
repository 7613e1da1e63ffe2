import type { Call, Graph, Node } from '../../ir/graph.ts';
import { sameShape } from '../../ir/shape.ts';
import { hasIntegerWeight } from './quantization.ts';

/** Places where one ONNX node stands for several nodes of the graph. Decided before anything is written. */
export interface Fusions {
  /** Linears that are a Gemm whose C is the residual, by their add(linear, residual). */
  readonly residuals: ReadonlyMap<Node, Residual>;
  /** Transposes of b that a matmul does together with its own, by the matmul. */
  readonly transposes: ReadonlyMap<Node, Call<'transpose'>>;
  /** Slices that cut a value into pieces without a gap, in order, by the first of them to be written. */
  readonly splits: ReadonlyMap<Node, readonly Call<'slice'>[]>;
  /** Nodes that are written by another. */
  readonly absorbed: ReadonlySet<Node>;
  /** False where several nodes, or a node and the outside, read the value. */
  isReadOnce(node: Node): boolean;
}

interface Residual {
  readonly linear: Call<'linear'>;
  readonly other: Node;
}

export function findFusions(graph: Graph): Fusions {
  const readers = readersOf(graph);
  const isReadOnce = (node: Node) => readers.get(node)?.length === 1;
  const residuals = new Map<Node, Residual>();
  const transposes = new Map<Node, Call<'transpose'>>();
  const splits = new Map<Node, readonly Call<'slice'>[]>();
  const absorbed = new Set<Node>();
  for (const [node, users] of readers) {
    if (node.op === 'add') {
      const residual = residualOf(node, isReadOnce);
      if (!residual) continue;
      residuals.set(node, residual);
      absorbed.add(residual.linear);
    }
    if (node.op === 'matmul' && node.attrs.transposeB) {
      const b = node.inputs[1] as Node;
      // A transpose that is stored quantized rounds, so it stays on its own.
      if (b.op !== 'transpose' || b.type.quant || !isReadOnce(b)) continue;
      transposes.set(node, b);
      absorbed.add(b);
    }
    if (node.op === 'dynamicRound' && users.every((user) => roundsItself(user, node))) absorbed.add(node);
    for (const group of splitsOf(node, users)) {
      const [leader, ...followers] = group;
      splits.set(leader as Node, group.toSorted(byStart));
      for (const follower of followers) absorbed.add(follower);
    }
  }
  return { residuals, transposes, splits, absorbed, isReadOnce };
}

/** A reader of a node, or the outside, which reads the graph's outputs. */
type Reader = Node | 'outside';

/** Finds who reads each live node; a node that reads another twice is listed twice. */
function readersOf(graph: Graph): ReadonlyMap<Node, readonly Reader[]> {
  const readers = new Map<Node, Reader[]>();
  for (const node of graph.nodes()) {
    readers.set(node, []);
    for (const input of node.inputs) readers.get(input)?.push(node);
  }
  for (const { node } of graph.outputs) readers.get(node)?.push('outside');
  return readers;
}

/** True for a linear of f32 and an integer weight, which rounds what it reads in just this way. */
function roundsItself(reader: Reader, x: Node): boolean {
  if (reader === 'outside' || reader.op !== 'linear' || x.type.quant) return false;
  return reader.inputs[0] === x && reader.inputs[2] !== x && hasIntegerWeight(reader.inputs[1] as Node);
}

/**
 * Finds the linear of an add that can take the other side as its C. Gemm has one C: a linear qualifies only where it
 * carries no bias, and only at rank 2, where it is a Gemm at all. The C of a Gemm of integers would be the bias, in
 * integers, so quantized linears keep their add.
 */
function residualOf(add: Call<'add'>, isReadOnce: Fusions['isReadOnce']): Residual | null {
  const [a, b] = add.inputs as readonly [Node, Node];
  for (const [linear, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (linear.op !== 'linear' || linear.attrs.activation !== 'none' || linear.inputs.length > 2) continue;
    if (linear.type.quant || linear.inputs[1]?.type.quant) continue;
    if (linear.type.shape.length !== 2 || !sameShape(linear.type.shape, other.type.shape)) continue;
    if (isReadOnce(linear)) return { linear, other };
  }
  return null;
}

/** Finds slices of a value that cover it exactly, a group per axis, in the order of the graph. */
function splitsOf(value: Node, readers: readonly Reader[]): Call<'slice'>[][] {
  const byAxis = new Map<number, Call<'slice'>[]>();
  const rank = value.type.shape.length;
  for (const reader of readers) {
    if (reader === 'outside' || reader.op !== 'slice' || reader.type.quant) continue;
    const axis = reader.attrs.axis < 0 ? reader.attrs.axis + rank : reader.attrs.axis;
    const group = byAxis.get(axis);
    if (group) group.push(reader);
    else byAxis.set(axis, [reader]);
  }
  const groups: Call<'slice'>[][] = [];
  for (const [axis, group] of byAxis) {
    let end: number | string = 0;
    for (const { attrs } of group.toSorted(byStart)) end = attrs.start === end ? attrs.end : Number.NaN;
    if (group.length > 1 && end === value.type.shape[axis]) groups.push(group);
  }
  return groups;
}

function byStart(a: Call<'slice'>, b: Call<'slice'>): number {
  return a.attrs.start - b.attrs.start;
}
