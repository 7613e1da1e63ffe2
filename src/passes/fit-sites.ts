import type { Call, Graph, Node } from '../graph.ts';
import { constantLinear, hasOneUse } from './attention.ts';

/** A place where the converted network is brought back to what the original computes. */
export type Site =
  /** gelu becomes relu; what reads it makes up for it. */
  | { readonly kind: 'activation'; readonly node: Call<'gelu'> }
  /** A layerNorm becomes a noNorm; the linear that writes its input is fitted with it. */
  | { readonly kind: 'norm'; readonly node: Call<'layerNorm'>; readonly end: Node; readonly writer: Writer | null }
  /** A linear, up to the sum that its result goes into. */
  | { readonly kind: 'linear'; readonly end: Node; readonly writer: Writer };

export interface Writer {
  readonly linear: Call<'linear'>;
  /** What is added to its result on the way to the site's end. */
  readonly others: readonly Node[];
}

/** All sites in the order in which values are computed. */
export function sitesOf(graph: Graph, converts: (node: Node) => boolean): Site[] {
  const sites: Site[] = [];
  for (const node of graph.nodes()) {
    if (node.op === 'gelu' && converts(node)) sites.push({ kind: 'activation', node });
    else if (node.op === 'layerNorm' && converts(node)) {
      const end = node.inputs[0] as Node;
      sites.push({ kind: 'norm', node, end, writer: hasOneUse(graph, end) ? writerOf(graph, end) : null });
    } else if ((node.op === 'linear' || node.op === 'add') && !goesOn(graph, node, converts)) {
      const writer = writerOf(graph, node);
      if (writer !== null) sites.push({ kind: 'linear', end: node, writer });
    }
  }
  return sites;
}

/** True where the value's only reader is a sum or a norm that is a site itself: the linear is fitted there. */
function goesOn(graph: Graph, node: Node, converts: (node: Node) => boolean): boolean {
  if (!hasOneUse(graph, node)) return false;
  const [user] = node.users;
  return user !== undefined && (user.op === 'add' || (user.op === 'layerNorm' && converts(user)));
}

/** The linear whose result is `end`, or is added to others to give it. */
function writerOf(graph: Graph, end: Node): Writer | null {
  const others: Node[] = [];
  let node = end;
  for (;;) {
    const linear = constantLinear(node);
    if (linear) return linear.node.attrs.activation === 'none' ? { linear: linear.node, others } : null;
    if (node.op !== 'add') return null;
    const [a, b] = node.inputs as readonly [Node, Node];
    const next = [a, b].find((operand) => leadsToLinear(graph, operand));
    if (next === undefined) return null;
    others.push(next === a ? b : a);
    node = next;
  }
}

function leadsToLinear(graph: Graph, node: Node): boolean {
  if (!hasOneUse(graph, node)) return false;
  return (
    constantLinear(node) !== null || (node.op === 'add' && node.inputs.some((operand) => leadsToLinear(graph, operand)))
  );
}
