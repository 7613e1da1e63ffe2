import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { tensorOf } from '../../ir/tensor.ts';
import type { TrainedArray } from './trained.ts';

/** Copies a graph with other values of some constants, by their names. */
export function withArrays(original: Graph, arrays: ReadonlyMap<string, TrainedArray>): Graph {
  const graph = copyGraph(original);
  const nodes = nodesByName(graph);
  for (const { name, shape, values } of arrays.values()) {
    const tensor = tensorOf('f32', shape, values);
    graph.replace(nodes.get(name) as Node, () => graph.constant(tensor, name));
  }
  return graph;
}
