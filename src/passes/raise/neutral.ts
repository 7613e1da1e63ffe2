import type { Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { sameShape, sizeOf } from '../../ir/shape.ts';
import { readF32 } from '../../ir/tensor.ts';

/** Drops constants that change nothing, which exporters leave of dropped heads, masks and ranges. */
export const raiseNeutral: Pass = {
  name: 'raise-neutral',
  summary: 'x + 0, x - 0, x * 1, x / 1  ->  x',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      const x = context.keeps(node) ? null : unchanged(node);
      if (x !== null && graph.replace(node, () => x)) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

/** The operand that the node gives back unchanged. */
function unchanged(node: Node): Node | null {
  if (node.op !== 'add' && node.op !== 'sub' && node.op !== 'mul' && node.op !== 'div') return null;
  if (node.type.quant !== undefined) return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  const neutral = node.op === 'add' || node.op === 'sub' ? 0 : 1;
  if (isAll(b, neutral) && isSame(a, node)) return a;
  const commutes = node.op === 'add' || node.op === 'mul';
  return commutes && isAll(a, neutral) && isSame(b, node) ? b : null;
}

function isSame(x: Node, node: Node): boolean {
  return x.type.quant === undefined && x.type.dtype === node.type.dtype && sameShape(x.type.shape, node.type.shape);
}

/** The largest constant that is read: to look for zeros in large weights would cost as much as using them. */
const MAX_READ_ELEMENTS = 65_536;

function isAll(node: Node, value: number): boolean {
  if (node.op !== 'constant' || node.type.quant !== undefined || sizeOf(node.tensor.shape) > MAX_READ_ELEMENTS)
    return false;
  return readF32(node.tensor).every((element) => element === value);
}
