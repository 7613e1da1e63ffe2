import type { Call, Constant, Graph, Node } from '../ir/graph.ts';
import { sameShape } from '../ir/shape.ts';

/** A linear whose weight and bias are constants. */
export interface ConstantLinear {
  readonly node: Call<'linear'>;
  readonly x: Node;
  readonly weight: Constant;
  readonly bias: Constant | undefined;
}

/**
 * The parts of a linear with constant weights; null for any other node, and for a linear whose result or weights are
 * stored quantized: passes compute with real numbers.
 */
export function constantLinear(node: Node): ConstantLinear | null {
  if (node.op !== 'linear' || node.type.quant !== undefined) return null;
  const [x, weight, bias] = node.inputs;
  if (x === undefined || weight?.op !== 'constant' || (bias !== undefined && bias.op !== 'constant')) return null;
  if (weight.type.quant !== undefined || bias?.type.quant !== undefined) return null;
  return { node, x, weight, bias };
}

/** Whether `node` feeds one node only and is not an output of the graph, so that it may change with that node. */
export function hasOneUse(graph: Graph, node: Node): boolean {
  return node.users.size === 1 && !graph.isOutput(node);
}

/**
 * Walks from an operand of attention [batch, heads, sequence, size] back through transposes and reshapes to the linear
 * that computes it; null where there is none, or where something else reads a value on the way.
 */
export function projectionOf(
  graph: Graph,
  operand: Node,
): { readonly linear: ConstantLinear; readonly path: readonly Node[] } | null {
  const path: Node[] = [];
  let node: Node | undefined = operand;
  while (node && (node.op === 'transpose' || node.op === 'reshape')) {
    if (!hasOneUse(graph, node)) return null;
    path.push(node);
    node = node.inputs[0];
  }
  const linear = node ? constantLinear(node) : null;
  const fits = linear !== null && linear.node.attrs.activation === 'none' && hasOneUse(graph, linear.node);
  return fits ? { linear, path } : null;
}

/** Builds the path of `projectionOf` anew on top of another linear; the last node built takes the operand's place. */
export function rebuildPath(graph: Graph, base: Node, path: readonly Node[]): Node {
  let node = base;
  for (const step of [...path].reverse()) {
    if (step.op === 'transpose') node = graph.add('transpose', [node], step.attrs, step.name);
    if (step.op === 'reshape') node = graph.add('reshape', [node], step.attrs, step.name);
  }
  return node;
}

/**
 * An attention's context, its heads joined again: reshape(transpose(matmul(softmax, value))), channels in the value's
 * order.
 */
export interface Context {
  readonly joined: Call<'reshape'>;
  readonly turned: Call<'transpose'>;
  readonly product: Call<'matmul'>;
  readonly probabilities: Node;
  readonly value: { readonly linear: ConstantLinear; readonly path: readonly Node[] };
}

/**
 * Finds attention's context at its last reshape. A string says why a node that looks like one is not; null: it does not
 * look like one.
 */
export function contextOf(graph: Graph, joined: Node): Context | string | null {
  if (joined.op !== 'reshape') return null;
  const turned = joined.inputs[0];
  const product = turned?.op === 'transpose' ? turned.inputs[0] : undefined;
  if (turned?.op !== 'transpose' || product?.op !== 'matmul' || product.attrs.transposeB) return null;
  const [probabilities, operand] = product.inputs;
  if (probabilities === undefined || operand === undefined) return null;
  if (probabilities.op !== 'softmax') return 'the probabilities do not come straight from softmax';
  if (!hasOneUse(graph, turned) || !hasOneUse(graph, product)) return 'the context has other uses';
  const value = projectionOf(graph, operand);
  const [split, heads] = value ? [...value.path].reverse() : [];
  if (!value || split?.op !== 'reshape' || heads?.op !== 'transpose' || value.path.length !== 2)
    return 'the value is not a linear split into heads';
  const inverse = turned.attrs.permutation.every((axis, i) => heads.attrs.permutation[axis] === i);
  const sameChannels = joined.type.shape.at(-1) === value.linear.node.type.shape.at(-1);
  const headed =
    heads.attrs.permutation.at(-1) === heads.attrs.permutation.length - 1 &&
    sameShape(split.attrs.shape, turned.type.shape);
  if (!inverse || !sameChannels || !headed) return 'the heads are not joined in the order in which the value was split';
  return { joined, turned, product, probabilities, value };
}

/**
 * Builds a context from its value without the value's bias. Each row of softmax sums to 1, so what the context lacks is
 * exactly that bias.
 */
export function contextWithoutBias(graph: Graph, { joined, turned, product, probabilities, value }: Context): Node {
  const { x, weight, node } = value.linear;
  const linear = graph.add('linear', [x, weight], node.attrs, node.name);
  const operand = rebuildPath(graph, linear, value.path);
  const context = graph.add('matmul', [probabilities, operand], product.attrs, product.name);
  const tokens = graph.add('transpose', [context], turned.attrs, turned.name);
  return graph.add('reshape', [tokens], joined.attrs, joined.name);
}
