import type { Graph, Node } from './graph.ts';

/** Lists the nodes of a graph by their names, as graphs are copied and names stay. */
export function nodesByName(graph: Graph): ReadonlyMap<string, Node> {
  return new Map(graph.nodes().map((node) => [node.name, node]));
}
