import type { Call, Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import type { Pass } from '../../ir/pass.ts';
import { scalarTensor } from '../../ir/tensor.ts';
import { hasOneUse } from '../attention.ts';

/** A value times one number, x · factor. */
interface Scaling {
  readonly x: Node;
  readonly factor: number;
}

/** The parts of a product or quotient with one number; null for other nodes. */
export function scalingOf(node: Node): Scaling | null {
  if (node.op !== 'mul' && node.op !== 'div') return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  const right = a.op === 'constant' ? null : scalarOf(b);
  if (right !== null && scales(node, a, b)) return node.op === 'mul' ? { x: a, factor: right } : divided(a, right);
  const left = b.op === 'constant' || node.op === 'div' ? null : scalarOf(a);
  return left !== null && scales(node, b, a) ? { x: b, factor: left } : null;
}

/** Whether `number` leaves the shape of x as it is: with more axes than x it would add them. */
function scales(node: Call, x: Node, number: Node): boolean {
  return node.type.dtype === 'f32' && number.type.shape.length <= x.type.shape.length;
}

function divided(x: Node, divisor: number): Scaling | null {
  const factor = 1 / divisor;
  return Number.isFinite(factor) ? { x, factor } : null;
}

/** Gives all factors one spelling, so that patterns need to know only one. Both forms round once. */
export const raiseScale: Pass = {
  name: 'raise-scale',
  summary: 'x / c, (x * a) * b  ->  x * (1 / c), x * (a b)',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      const outer = scalingOf(node);
      if (outer === null || context.keeps(node)) continue;
      const inner = hasOneUse(graph, outer.x) ? scalingOf(outer.x) : null;
      if (inner === null && node.op === 'mul') continue;
      const { x, factor } = inner ? { x: inner.x, factor: inner.factor * outer.factor } : outer;
      if (graph.replace(node, () => scaled(graph, x, factor, node.name))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

/** Builds x times a number. */
export function scaled(graph: Graph, x: Node, factor: number, name: string): Node {
  return graph.add('mul', [x, graph.constant(scalarTensor(factor), `${name}.factor`)], {}, name);
}
