import { MbertError } from '../../errors.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { isHidden } from '../../ir/token-wise.ts';

/** A transformer layer in a graph of any source, found by what it computes. */
export interface EncoderLayer {
  /** Attention's probabilities [..., heads, sequence, sequence]. */
  readonly attention: Node;
  /** The layer's feature map [..., sequence, hidden]: its last sum, or the norm of it. */
  readonly output: Node;
}

/** Ops that may stand between attention's probabilities and the product with the values. */
const PASS_ON: ReadonlySet<string> = new Set(['cast', 'quantize', 'dequantize', 'where', 'mul', 'reshape']);

/**
 * Finds the encoder layers of a graph, in order: each begins with an attention, and ends with the last sum of two
 * computed values, or the norm of one, that the next attention reads. `path` names the model in errors. Throws
 * UNSUPPORTED for a graph without attention, or where no layer ends behind one.
 */
export function encoderLayers(graph: Graph, path: string): EncoderLayer[] {
  const nodes = graph.nodes();
  const attentions = nodes.filter((node) => node.op === 'softmax' && feedsMatmul(node));
  if (attentions.length === 0) {
    throw new MbertError('UNSUPPORTED', `${path}: has no attention: no softmax that a matmul reads`, {
      hint: 'mbert inspect shows what was found in it',
    });
  }
  // For each node the number of attentions that it depends on: all of them are in a chain.
  const depths = new Map<Node, number>();
  for (const node of nodes) {
    const depth = Math.max(0, ...node.inputs.map((input) => depths.get(input) ?? 0));
    depths.set(node, depth + (attentions.includes(node) ? 1 : 0));
  }
  return attentions.map((attention, i) => {
    const depth = depths.get(attention) as number;
    const next = attentions[i + 1];
    const needed = next && ancestorsOf(next);
    const ends = nodes.filter(
      (node) => depths.get(node) === depth && isFeatureMap(node) && (needed === undefined || needed.has(node)),
    );
    const output = ends.at(-1);
    if (depth !== i + 1 || output === undefined) {
      throw new MbertError('UNSUPPORTED', `${path}: ${attention.name}: no layer ends behind this attention`);
    }
    return { attention, output };
  });
}

/**
 * Finds the encoder layers of a graph whose layers all compute every token, as training on them needs. Throws UNSUPPORTED
 * besides for a layer that computes the first token alone, as the last one of a written classifier.
 */
export function wholeEncoderLayers(graph: Graph, path: string): EncoderLayer[] {
  const layers = encoderLayers(graph, path);
  for (const { attention } of layers) {
    const { shape } = attention.type;
    if (shape.at(-2) !== 1 || shape.at(-1) === 1) continue;
    throw new MbertError('UNSUPPORTED', `${path}: ${attention.name}: its layer is computed for the first token only`, {
      hint: 'take the checkpoint, or a file that was written with --passes=-hoist-token-slice',
    });
  }
  return layers;
}

function feedsMatmul(node: Node): boolean {
  for (const user of node.users) {
    if (user.op === 'matmul' || (PASS_ON.has(user.op) && feedsMatmul(user))) return true;
  }
  return false;
}

function ancestorsOf(node: Node): ReadonlySet<Node> {
  const ancestors = new Set<Node>();
  const stack = [...node.inputs];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (ancestors.has(next)) continue;
    ancestors.add(next);
    stack.push(...next.inputs);
  }
  return ancestors;
}

/** True for a sum of two computed values or the norm of one: not for a bias, a bottleneck's norm or that of a head. */
function isFeatureMap(node: Node): boolean {
  const [first, second] = node.inputs;
  if (node.op === 'add') return isHidden(node) && isComputed(first) && isComputed(second);
  return (node.op === 'layerNorm' || node.op === 'noNorm') && isHidden(node) && throughStorage(first)?.op === 'add';
}

function isComputed(node: Node | undefined): boolean {
  return node !== undefined && node.op !== 'constant';
}

/** The value as it was before it was stored as integers or in another shape. */
function throughStorage(node: Node | undefined): Node | undefined {
  let source = node;
  while (source && (source.op === 'quantize' || source.op === 'dequantize' || source.op === 'reshape'))
    source = source.inputs[0];
  return source;
}
