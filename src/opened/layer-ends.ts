import type { Node } from '../ir/graph.ts';
import { layerOf } from '../ir/names.ts';
import { isHidden } from '../ir/token-wise.ts';

/** Ops that end a layer: sums and norms. */
const LAYER_ENDS: ReadonlySet<string> = new Set(['add', 'layerNorm', 'noNorm']);

/** Number of sums and norms, evenly chosen, that stand for the layers of an imported graph, as those have no names. */
const MAX_UNNAMED = 24;

/** The last sum or norm of each layer, from nodes in the order of computing. */
export function layerEnds(nodes: readonly Node[]): Node[] {
  const ends = nodes.filter((node) => LAYER_ENDS.has(node.op) && isHidden(node));
  const byLayer = new Map<string, Node>();
  for (const node of ends) {
    const layer = layerOf(node.name);
    if (layer !== undefined) byLayer.set(layer, node);
  }
  if (byLayer.size > 0) return [...byLayer.values()];
  const stride = Math.ceil(ends.length / MAX_UNNAMED);
  return ends.filter((_, i) => (ends.length - 1 - i) % stride === 0);
}
