import type { Call, Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import type { Pass } from '../../ir/pass.ts';
import { broadcast, type Dim, type Shape, sameShape } from '../../ir/shape.ts';

/**
 * Moves expands down past element-wise ops, until they reach an op that broadcasts its operands itself. Google's BERT
 * repeats its mask by a product with ones.
 */
export const raiseExpand: Pass = {
  name: 'raise-expand',
  summary: 'scores + f(expand(mask))  ->  scores + f(mask)',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || node.type.quant !== undefined || context.keeps(node))
        continue;
      const changed = graph.replace(node, () => {
        for (const rule of [byOnes, absorb, sink, sinkReshape]) {
          const replacement = rule(graph, node);
          if (replacement !== null) return replacement;
        }
        return null;
      });
      if (changed) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

const ELEMENTWISE = ['add', 'div', 'maximum', 'minimum', 'mul', 'sub'] as const;

/** Turns a product with ones of another shape into an expand. */
function byOnes(graph: Graph, node: Call): Node | null {
  if (node.op !== 'mul') return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  const [x, ones] = isOnes(b) ? [a, b] : [b, a];
  if (!isOnes(ones) || x.type.dtype !== node.type.dtype) return null;
  return graph.add('expand', [x], { shape: node.type.shape }, node.name);
}

function isOnes(node: Node): boolean {
  return node.op === 'expand' && scalarOf(node.inputs[0] as Node) === 1;
}

/** Drops the expand of an operand that the op would broadcast by itself. */
function absorb(graph: Graph, node: Call): Node | null {
  const op = ELEMENTWISE.find((name) => name === node.op);
  if (op === undefined) return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  for (const [expanded, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (expanded.op !== 'expand') continue;
    const inner = expanded.inputs[0] as Node;
    const shape = broadcast(inner.type.shape, other.type.shape);
    if (shape !== null && sameShape(shape, node.type.shape)) {
      return graph.add(op, expanded === a ? [inner, b] : [a, inner], {}, node.name);
    }
  }
  return null;
}

/** Builds an op followed by an expand. The op keeps its name; the expand will mostly be absorbed. */
function repeated(graph: Graph, node: Call, make: (name: string) => Node): Node {
  const { name } = node;
  return graph.add('expand', [make(name)], { shape: node.type.shape }, `${name}.repeated`);
}

/** Moves an expand after the op: f(expand(x), c) = expand(f(x, c)) for a number c. */
function sink(graph: Graph, node: Call): Node | null {
  const op = ELEMENTWISE.find((name) => name === node.op);
  const expanded = node.inputs.find((input) => input.op === 'expand');
  if (op === undefined || expanded === undefined || !sameShape(expanded.type.shape, node.type.shape)) return null;
  const inner = expanded.inputs[0] as Node;
  const isSimple = node.inputs.every((input) => input === expanded || input.type.shape.length === 0);
  if (!isSimple) return null;
  const operands = node.inputs.map((input) => (input === expanded ? inner : input));
  return repeated(graph, node, (name) => graph.add(op, operands, {}, name));
}

/** Moves an expand after a reshape that only inserts axes of size 1. */
function sinkReshape(graph: Graph, node: Call): Node | null {
  const [expanded] = node.inputs;
  if (node.op !== 'reshape' || expanded?.op !== 'expand') return null;
  const inner = expanded.inputs[0] as Node;
  const rank = expanded.type.shape.length;
  const padded: Shape = [...new Array<Dim>(rank - inner.type.shape.length).fill(1), ...inner.type.shape];
  const shape = withOnes(padded, expanded.type.shape, node.attrs.shape);
  if (shape === null) return null;
  return repeated(graph, node, (name) => graph.add('reshape', [inner], { shape }, name));
}

/** Inserts axes of size 1 into `inner` where `to` has them beyond `from`; null where `to` is a different reshape. */
function withOnes(inner: Shape, from: Shape, to: Shape): Shape | null {
  const shape: Dim[] = [];
  let at = 0;
  for (const dim of to) {
    if (at < from.length && dim === from[at]) shape.push(inner[at++] as Dim);
    else if (dim === 1) shape.push(1);
    else return null;
  }
  return at === from.length ? shape : null;
}
