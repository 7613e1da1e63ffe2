import type { Graph, Node } from '../ir/graph.ts';
import { scalarOf } from '../ir/match.ts';
import type { Pass } from '../ir/pass.ts';
import { readF32, type Tensor } from '../ir/tensor.ts';
import { scaledRows, vectorTensor } from './affine.ts';
import { type ConstantLinear, hasOneUse, projectionOf, rebuildPath } from './attention.ts';
import { type MakeOnce, makingOnce } from './make-once.ts';

/** Splits a product or quotient of one value and one number into value and factor. */
function scaling(node: Node): { readonly x: Node; readonly factor: number } | null {
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined || (node.op !== 'mul' && node.op !== 'div')) return null;
  const divisor = scalarOf(b);
  if (divisor !== null && divisor !== 0) return { x: a, factor: node.op === 'div' ? 1 / divisor : divisor };
  const factor = node.op === 'mul' ? scalarOf(a) : null;
  return factor === null ? null : { x: b, factor };
}

function scaledLinear(
  graph: Graph,
  { node, x, weight, bias }: ConstantLinear,
  factor: number,
  makeOnce: MakeOnce,
): Node {
  const rows = new Float64Array(weight.tensor.shape[0] as number).fill(factor);
  const scaled = makeOnce([weight.tensor], factor, () => scaledRows(weight.tensor, rows));
  const biases = bias
    ? [
        graph.constant(
          makeOnce([bias.tensor], factor, () => scaledVector(bias.tensor, factor)),
          bias.name,
        ),
      ]
    : [];
  return graph.add('linear', [x, graph.constant(scaled, weight.name), ...biases], node.attrs, node.name);
}

function scaledVector(vector: Tensor, factor: number): Tensor {
  return vectorTensor(Float64Array.from(readF32(vector), (value) => value * factor));
}

/**
 * Folds attention's scale into the query's weights, (Q Kᵀ) s = (s Q) Kᵀ, also where Q or K itself is scaled (K: into
 * the key's weights).
 */
export const foldAttentionScale: Pass = {
  name: 'fold-attention-scale',
  summary: 'matmul(heads(linear(x)), k) * s  ->  matmul(heads(linear(x) with s in its weights), k)',
  keeps: 'values',
  run(graph, context) {
    const makeOnce = makingOnce();
    let rewrites = 0;
    const declined: string[] = [];
    for (const node of graph.nodes()) {
      const scaled = scaling(node);
      if (!scaled || context.keeps(node)) continue;
      const { x, factor } = scaled;
      const product = x.op === 'matmul' && hasOneUse(graph, x) ? x : null;
      const [query, key] = product ? product.inputs : [x];
      if (query === undefined || (!product && x.op !== 'transpose' && x.op !== 'reshape')) continue;
      const projection = projectionOf(graph, query);
      if (!projection) {
        declined.push(`${node.name}: what it scales is not a linear split into heads`);
        continue;
      }
      graph.replace(node, () => {
        const heads = rebuildPath(graph, scaledLinear(graph, projection.linear, factor, makeOnce), projection.path);
        return product && key ? graph.add('matmul', [heads, key], product.attrs, product.name) : heads;
      });
      rewrites++;
    }
    return { rewrites, declined };
  },
};
