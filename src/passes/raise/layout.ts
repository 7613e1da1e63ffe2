import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { broadcast, product, type Shape, sameShape } from '../../ir/shape.ts';

/**
 * Merges a reshape of a reshape into one, or into none where it restores the shape; also transposes that were written
 * in three steps.
 */
function mergedReshape(graph: Graph, node: Call<'reshape'>): Node | null {
  const x = node.inputs[0] as Node;
  if (sameShape(x.type.shape, node.type.shape)) return x;
  if (x.op === 'transpose') return swappedInPlace(graph, node, x);
  if (x.op !== 'reshape') return null;
  const source = x.inputs[0] as Node;
  return sameShape(source.type.shape, node.type.shape) ? source : graph.add('reshape', [source], node.attrs, node.name);
}

/**
 * Replaces reshape(transpose(reshape(x, [a*b, m, n])), [a, b, n, m]), which only swaps the last two axes of x [a, b, m,
 * n], by one transpose.
 */
function swappedInPlace(graph: Graph, node: Call<'reshape'>, turn: Call<'transpose'>): Node | null {
  const flat = turn.inputs[0] as Node;
  if (flat.op !== 'reshape' || turn.attrs.permutation.join() !== '0,2,1') return null;
  const x = flat.inputs[0] as Node;
  const { shape } = x.type;
  const [m, n] = shape.slice(-2);
  const joined = [product(shape.slice(0, -2)), m, n] as Shape;
  const target = [...shape.slice(0, -2), n, m] as Shape;
  if (shape.length < 3 || !sameShape(flat.type.shape, joined) || !sameShape(node.type.shape, target)) return null;
  const axes = shape.map((_, axis) => axis);
  const permutation = [...axes.slice(0, -2), ...axes.slice(-2).reverse()];
  return graph.add('transpose', [x], { permutation }, node.name);
}

/** Merges a transpose of a transpose into one, or into none where it restores the order of axes. */
function mergedTranspose(graph: Graph, node: Call<'transpose'>): Node | null {
  const x = node.inputs[0] as Node;
  const { permutation } = node.attrs;
  if (permutation.every((axis, i) => axis === i)) return x;
  if (x.op !== 'transpose') return null;
  const composed = permutation.map((axis) => x.attrs.permutation[axis] as number);
  const source = x.inputs[0] as Node;
  if (composed.every((axis, i) => axis === i)) return source;
  return graph.add('transpose', [source], { permutation: composed }, node.name);
}

/**
 * Drops reshapes that only put axes of size 1 in front, which broadcasting adds anyway: a + reshape(b, [1, n, m]) = a +
 * b. A norm's x - mean(x) reads one x, which stays.
 */
function withoutLeadingOnes(graph: Graph, node: Call<'add' | 'sub' | 'mul'>): Node | null {
  const inputs = node.inputs.map((input, i) => {
    const source = input.op === 'reshape' ? (input.inputs[0] as Node) : input;
    const other = node.inputs[1 - i] as Node;
    const { shape } = input.type;
    const ones = shape.length - source.type.shape.length;
    const adds = ones > 0 && shape.slice(0, ones).every((dim) => dim === 1);
    const isCentred = other.op === 'mean' && other.inputs[0] === input;
    const fits =
      adds && !isCentred && sameShape(shape.slice(ones), source.type.shape) && other.type.shape.length >= shape.length;
    return fits ? source : input;
  });
  if (inputs.every((input, i) => input === node.inputs[i])) return null;
  // Where both sides lose their leading axes, broadcasting does not put them back.
  const joined = broadcast((inputs[0] as Node).type.shape, (inputs[1] as Node).type.shape);
  return joined && sameShape(joined, node.type.shape) ? graph.add(node.op, inputs, {}, node.name) : null;
}

/** A slice of everything, as of the first row of one. */
function wholeSlice({ attrs, inputs, type }: Call<'slice'>): Node | null {
  const [x] = inputs as readonly [Node];
  return attrs.start === 0 && sameShape(x.type.shape, type.shape) ? x : null;
}

function simplified(graph: Graph, node: Node): Node | null {
  switch (node.op) {
    case 'reshape':
      return mergedReshape(graph, node);
    case 'transpose':
      return mergedTranspose(graph, node);
    case 'slice':
      return wholeSlice(node);
    case 'add':
    case 'sub':
    case 'mul':
      return withoutLeadingOnes(graph, node);
    default:
      return null;
  }
}

export const raiseLayout: Pass = {
  name: 'raise-layout',
  summary: 'reshape(reshape(x)), transpose(transpose(x))  ->  one of them, or none',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    // Inputs come before users, so what a node reads is merged already.
    for (const node of graph.nodes()) {
      if (context.keeps(node)) continue;
      if (graph.replace(node, () => simplified(graph, node))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
