import { createHash } from 'node:crypto';
import type { Graph } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';

/**
 * Hashes what the time of a graph's run depends on: ops, types, attributes, which node reads which, and which are
 * outputs. Names and the numbers of weights are not in it.
 */
export function partKey(graph: Graph): string {
  const hash = createHash('sha256');
  const nodes = graph.nodes();
  const places = new Map(nodes.map((node, place) => [node, place]));
  for (const node of nodes) {
    const attrs = node.op === 'input' || node.op === 'constant' ? '' : JSON.stringify(node.attrs);
    const reads = node.inputs.map((input) => places.get(input)).join();
    hash.update(`${node.op} ${node.type.dtype}${shapeText(node.type.shape)} ${attrs} ${reads}\n`);
  }
  hash.update(graph.outputs.map(({ node }) => places.get(node)).join());
  return hash.digest('hex').slice(0, 16);
}
