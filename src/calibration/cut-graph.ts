import { copyNode } from '../ir/copy-graph.ts';
import { Graph, type Node } from '../ir/graph.ts';

/** A part of a graph. */
interface CutGraph {
  readonly part: Graph;
  /** Nodes that became inputs, by name. */
  readonly from: ReadonlyMap<string, Node>;
}

/**
 * Cuts the part out of a graph that computes the wanted nodes, each an output under its own name, from known ones,
 * which become inputs. The graph's own inputs stay, so that symbols keep their meaning.
 */
export function cutGraph(graph: Graph, wanted: readonly Node[], known: { has(node: Node): boolean }): CutGraph {
  const part = new Graph(graph.name);
  const copies = new Map<Node, Node>(graph.inputs.map((input) => [input, part.input(input.name, input.type)]));
  const from = new Map<string, Node>();
  const stack: { node: Node; next: number }[] = wanted.map((node) => ({ node, next: 0 })).reverse();
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const { node } = top;
    if (copies.has(node)) stack.pop();
    else if (known.has(node)) {
      copies.set(node, part.input(node.name, node.type));
      from.set(node.name, node);
    } else {
      const input = node.inputs[top.next++];
      if (input !== undefined) {
        if (!copies.has(input)) stack.push({ node: input, next: 0 });
      } else copies.set(node, copyNode(part, node, copies, {}));
    }
  }
  for (const node of wanted) part.output(node.name, copies.get(node) as Node);
  return { part, from };
}
