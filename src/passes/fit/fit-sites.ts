import type { Call, Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import { type ConstantLinear, constantLinear, hasOneUse, projectionOf } from '../attention.ts';
import { scoresOf } from '../drop-key-bias.ts';

/** A place where the converted network is brought back to what the original computes. */
export type Site =
  /** A gelu that becomes a relu; the linears that read it make up for the change. */
  | { readonly kind: 'activation'; readonly node: Call<'gelu'> }
  /** A layerNorm that becomes a noNorm; the linear that writes its input is fitted with it. */
  | {
      readonly kind: 'norm';
      readonly node: Call<'layerNorm'>;
      readonly end: Node;
      readonly writer: Call<'linear'> | null;
    }
  /** A linear, fitted at the sum that its result goes into. */
  | { readonly kind: 'linear'; readonly end: Node; readonly writer: Call<'linear'> }
  /** The linear of attention's queries, fitted once the linear of its keys is. */
  | ({ readonly kind: 'query' } & QueryAndKey);

/**
 * The scores of one attention, scale · q·k with q and k [batch, heads, sequence, size]. The linears of q and k are
 * replaced when they are fitted, so they are identified by name.
 */
export interface QueryAndKey {
  readonly scores: Call<'matmul'>;
  readonly query: string;
  readonly key: string;
  readonly heads: number;
  readonly scale: number;
}

/** Lists all sites in the order in which values are computed. */
export function sitesOf(graph: Graph, converts: (node: Node) => boolean): Site[] {
  const sites: Site[] = [];
  const attentions = attentionsOf(graph);
  const queries = new Set([...attentions.values()].map(({ query }) => query));
  for (const node of graph.nodes()) {
    const attention = attentions.get(node);
    if (attention) sites.push({ kind: 'query', ...attention });
    if (queries.has(node.name)) continue;
    if (node.op === 'gelu' && converts(node)) sites.push({ kind: 'activation', node });
    else if (node.op === 'layerNorm' && converts(node)) {
      const end = node.inputs[0] as Node;
      sites.push({ kind: 'norm', node, end, writer: hasOneUse(graph, end) ? writerOf(graph, end) : null });
    } else if ((node.op === 'linear' || node.op === 'add') && !isFittedFurtherOn(graph, node, converts)) {
      const writer = writerOf(graph, node);
      if (writer !== null) sites.push({ kind: 'linear', end: node, writer });
    }
  }
  return sites;
}

/** Finds the attentions of a graph, each by its softmax. */
function attentionsOf(graph: Graph): Map<Node, QueryAndKey> {
  const attentions = new Map<Node, QueryAndKey>();
  for (const node of graph.nodes()) {
    const scores = node.op === 'softmax' ? scoresOf(graph, node) : null;
    if (scores === null || typeof scores === 'string') continue;
    const linears = queryAndKey(graph, scores);
    const heads = scores.inputs[0]?.type.shape[1];
    if (linears === null || typeof heads !== 'number') continue;
    const [query, key] = linears.map(({ name }) => name) as [string, string];
    attentions.set(node, { scores, query, key, heads, scale: scaleOf(node, scores) });
  }
  return attentions;
}

/** Finds the linears whose results are multiplied as queries and keys, both split into heads in the same way. */
export function queryAndKey(graph: Graph, scores: Node): readonly [Call<'linear'>, Call<'linear'>] | null {
  const [query, key] = scores.inputs.map((operand) => projectionOf(graph, operand));
  if (!query || !key || !isByHead(query) || !isByHead(key)) return null;
  return [query.linear.node, key.linear.node];
}

/**
 * Whether a projection's path splits the channels into heads, [batch, sequence, heads, size], and swaps heads and
 * sequence.
 */
function isByHead({ path }: { readonly linear: ConstantLinear; readonly path: readonly Node[] }): boolean {
  const [turned, split] = path;
  return (
    path.length === 2 &&
    turned?.op === 'transpose' &&
    turned.attrs.permutation.join() === '0,2,1,3' &&
    split?.op === 'reshape' &&
    split.type.shape.length === 4
  );
}

/** The number by which the scores are multiplied on their way to the softmax. */
function scaleOf(softmax: Node, scores: Node): number {
  let scale = 1;
  let node = softmax.inputs[0] as Node;
  while (node !== scores) {
    const [a, b] = node.inputs as readonly [Node, Node];
    const next = comesFrom(a, scores) ? a : b;
    const factor = scalarOf(next === a ? b : a) ?? 1;
    if (node.op === 'mul') scale *= factor;
    if (node.op === 'div') scale /= factor;
    node = next;
  }
  return scale;
}

function comesFrom(node: Node, source: Node): boolean {
  if (node === source) return true;
  return ['add', 'sub', 'mul', 'div'].includes(node.op) && node.inputs.some((input) => comesFrom(input, source));
}

/** Whether the value's only reader is a sum or a norm that is a site itself: the linear is fitted there. */
function isFittedFurtherOn(graph: Graph, node: Node, converts: (node: Node) => boolean): boolean {
  if (!hasOneUse(graph, node)) return false;
  const [user] = node.users;
  return user !== undefined && (user.op === 'add' || (user.op === 'layerNorm' && converts(user)));
}

/** The linear whose result is `end`, or is added to others to give it. */
function writerOf(graph: Graph, end: Node): Call<'linear'> | null {
  let node = end;
  for (;;) {
    const linear = constantLinear(node);
    if (linear) return linear.node.attrs.activation === 'none' ? linear.node : null;
    const next = node.op === 'add' ? node.inputs.find((operand) => leadsToLinear(graph, operand)) : undefined;
    if (next === undefined) return null;
    node = next;
  }
}

/** Lists what is added to a writer's result on the way to its site's end, in the graph as it is now. */
export function addedTo(writer: Node, end: Node): Node[] {
  const addends: Node[] = [];
  let node = end;
  while (node !== writer) {
    const next = node.inputs.find((input) => isSumWith(input, writer));
    if (next === undefined) break;
    addends.push(...node.inputs.filter((input) => input !== next));
    node = next;
  }
  return addends;
}

/** Whether a node is `part`, or a sum that it goes into. */
function isSumWith(node: Node, part: Node): boolean {
  return node === part || (node.op === 'add' && node.inputs.some((input) => isSumWith(input, part)));
}

function leadsToLinear(graph: Graph, node: Node): boolean {
  if (!hasOneUse(graph, node)) return false;
  return (
    constantLinear(node) !== null || (node.op === 'add' && node.inputs.some((operand) => leadsToLinear(graph, operand)))
  );
}
