import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { hasOneUse, rebuildPath } from '../attention.ts';
import { scaled, scalingOf } from './scale.ts';

/**
 * Turns q @ transpose(k) into a product that transposes k itself: a transpose of k that swaps its last two axes becomes
 * one that does not.
 */
function withTransposedKeys(graph: Graph, node: Call<'matmul'>): Node | null {
  const [a, b] = node.inputs as readonly [Node, Node];
  if (node.attrs.transposeB || b.op !== 'transpose') return null;
  const { permutation } = b.attrs;
  const last = permutation.length - 1;
  // Only where swapping its last two axes puts the source's last axis last: a value's heads stay as they are.
  if (permutation[last] === last || permutation[last - 1] !== last) return null;
  const upright = [...permutation.slice(0, -2), ...permutation.slice(-2).reverse()];
  const source = b.inputs[0] as Node;
  const isNone = upright.every((axis, i) => axis === i);
  // Keys that are read elsewhere, as by distances, may stand upright already.
  const standing = [...source.users].find(
    (user) => user.op === 'transpose' && user.attrs.permutation.join() === upright.join(),
  );
  const keys = isNone ? source : (standing ?? graph.add('transpose', [source], { permutation: upright }, b.name));
  return graph.add('matmul', [a, keys], { transposeB: true }, node.name);
}

/**
 * Splits an operand into a value and the number that it is multiplied by, also where the product stands before the
 * split into heads.
 */
function unscaled(graph: Graph, operand: Node): { readonly node: Node; readonly factor: number } | null {
  const path: Node[] = [];
  let node = operand;
  while ((node.op === 'reshape' || node.op === 'transpose') && hasOneUse(graph, node)) {
    path.push(node);
    node = node.inputs[0] as Node;
  }
  const scaling = hasOneUse(graph, node) ? scalingOf(node) : null;
  return scaling && { node: rebuildPath(graph, scaling.x, path), factor: scaling.factor };
}

/** Moves scales after the product: (s q) (t k)ᵀ = (s t) q kᵀ. Queries, keys or both may come scaled. */
function scaledAfter(graph: Graph, node: Call<'matmul'>): Node | null {
  const [a, b] = node.inputs as readonly [Node, Node];
  const left = unscaled(graph, a);
  const right = unscaled(graph, b);
  if (left === null && right === null) return null;
  const product = graph.add('matmul', [left?.node ?? a, right?.node ?? b], node.attrs);
  return scaled(graph, product, (left?.factor ?? 1) * (right?.factor ?? 1), node.name);
}

export const raiseAttention: Pass = {
  name: 'raise-attention',
  summary: '(q * s) @ transpose(k)  ->  (q @ kᵀ) * s',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    for (const rule of [scaledAfter, withTransposedKeys]) {
      for (const node of graph.nodes()) {
        if (node.op !== 'matmul' || context.keeps(node)) continue;
        if (graph.replace(node, () => rule(graph, node))) rewrites++;
      }
    }
    return { rewrites, declined: [] };
  },
};
