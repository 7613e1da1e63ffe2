import { evaluate } from '../src/ir/evaluate.ts';
import { Graph, type Node } from '../src/ir/graph.ts';
import type { OpName } from '../src/ir/ops/index.ts';
import { type Quant, readF32, type Tensor } from '../src/ir/tensor.ts';
import { storeIntegers, storeWeight } from './quantize-by-hand.ts';

type TensorQuant = Quant & { readonly per: 'tensor' };

/** Ops that are integers where they come after the first linear, except between the scores and softmax. */
const INTEGER: ReadonlySet<string> = new Set<OpName>([
  'linear',
  'add',
  'sub',
  'mul',
  'matmul',
  'reshape',
  'transpose',
  'slice',
  'concat',
]);
const MOVES: ReadonlySet<string> = new Set<OpName>(['reshape', 'transpose', 'slice', 'concat']);

/**
 * A graph whose encoder is int8 throughout, as the CPU form wants it: right operands of matmul with zero point 0, softmax
 * and what comes before it in floats, the front and every norm in floats, weights per channel and tables per row.
 */
export function toInt8(graph: Graph, samples: readonly ReadonlyMap<string, Tensor>[]): Graph {
  const nodes = graph.nodes();
  const integer = new Set<Node>();
  for (const node of nodes) {
    if (node.op === 'linear' || (node.inputs.some((x) => integer.has(x)) && INTEGER.has(node.op))) integer.add(node);
    if (node.op === 'add' && [...node.users].some((user) => user.op === 'softmax')) integer.delete(node);
  }
  const quantOf = quantsOf(nodes, rangesOf(graph, nodes, samples));
  const result = new Graph(graph.name);
  const made = new Map<Node, Node>();
  const others = new Map<Node, Node>();
  /** A node's value as integers or as floats, whatever it is. */
  const as = (node: Node, wanted: boolean): Node => {
    const same = made.get(node) as Node;
    if (integer.has(node) === wanted) return same;
    const known = others.get(node);
    if (known) return known;
    const other = result.add(wanted ? 'quantize' : 'dequantize', [same]);
    if (wanted) result.setType(other, { dtype: 'i8', shape: other.type.shape, quant: quantOf(node) });
    others.set(node, other);
    return other;
  };
  for (const input of graph.inputs) made.set(input, result.input(input.name, input.type));
  for (const node of nodes) {
    if (node.op === 'input') continue;
    if (node.op === 'constant') {
      made.set(node, storeConstant(result, node, quantOf, integer));
      continue;
    }
    const isInteger = integer.has(node);
    const inputs = node.inputs.map((x) => (x.op === 'constant' ? (made.get(x) as Node) : as(x, isInteger)));
    const copy = result.add(node.op, inputs, node.attrs as never, node.name);
    if (isInteger) result.setType(copy, { dtype: 'i8', shape: copy.type.shape, quant: quantOf(node) });
    made.set(node, copy);
  }
  for (const { name, node } of graph.outputs) result.output(name, as(node, false));
  return result;
}

/** Weights per channel, tables per row, constants of integer sums per tensor; biases and everything else stay. */
function storeConstant(
  result: Graph,
  node: Node & { readonly op: 'constant' },
  quantOf: (node: Node) => TensorQuant,
  integer: ReadonlySet<Node>,
): Node {
  const users = [...node.users];
  const isWeight = users.some((user) => (user.op === 'linear' || user.op === 'conv1d') && user.inputs[1] === node);
  const isTable = users.some((user) => user.op === 'gather' && user.inputs[0] === node);
  if (isWeight || isTable) {
    const { tensor, quant } = storeWeight(node.tensor, 'i8 per channel');
    return result.constant(tensor, node.name, quant);
  }
  if (users.some((user) => integer.has(user) && user.op !== 'linear')) {
    return result.constant(storeIntegers(node.tensor, 'i8', quantOf(node)), node.name, quantOf(node));
  }
  return result.constant(node.tensor, node.name);
}

interface Range {
  least: number;
  most: number;
}

function rangesOf(graph: Graph, nodes: readonly Node[], samples: readonly ReadonlyMap<string, Tensor>[]) {
  const ranges = new Map<Node, Range>();
  for (const sample of samples) {
    const values = evaluate(graph, sample, nodes);
    for (const node of nodes) {
      if (node.type.dtype === 'i32') continue;
      const range = ranges.get(node) ?? { least: 0, most: 0 };
      for (const value of readF32(values.get(node.name) as Tensor)) {
        if (value < range.least) range.least = value;
        if (value > range.most) range.most = value;
      }
      ranges.set(node, range);
    }
  }
  return ranges;
}

/** What only moves values shares their scale, and so does everything that a right operand of matmul comes from. */
function quantsOf(nodes: readonly Node[], ranges: ReadonlyMap<Node, Range>): (node: Node) => TensorQuant {
  const parent = new Map<Node, Node>();
  const root = (node: Node): Node => {
    const up = parent.get(node);
    return up === undefined ? node : root(up);
  };
  for (const node of nodes) {
    if (!MOVES.has(node.op)) continue;
    for (const x of node.inputs) if (root(x) !== root(node)) parent.set(root(x), root(node));
  }
  const symmetric = new Set<Node>();
  const joint = new Map<Node, Range>();
  for (const node of nodes) {
    if (node.op === 'matmul') symmetric.add(root(node.inputs[1] as Node));
    const range = ranges.get(node);
    if (range === undefined) continue;
    const all = joint.get(root(node)) ?? { least: 0, most: 0 };
    joint.set(root(node), { least: Math.min(all.least, range.least), most: Math.max(all.most, range.most) });
  }
  return (node) => {
    if (node.op === 'softmax') return { per: 'tensor', scale: 1 / 256, zeroPoint: -128 };
    const { least, most } = joint.get(root(node)) as Range;
    if (symmetric.has(root(node))) {
      return { per: 'tensor', scale: Math.fround(Math.max(-least, most) / 127) || 1, zeroPoint: 0 };
    }
    const scale = Math.fround((most - least) / 255) || 1;
    return { per: 'tensor', scale, zeroPoint: Math.max(-128, Math.min(127, Math.round(-128 - least / scale))) };
  };
}
