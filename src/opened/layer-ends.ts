import type { Node } from '../ir/graph.ts';
import { layerOf } from '../ir/names.ts';
import { isHidden } from '../ir/token-wise.ts';

/** Values that end a layer, as sums and norms do. */
const LAYER_ENDS: ReadonlySet<string> = new Set(['add', 'layerNorm', 'noNorm']);

/** Layers of imported graphs have no names: this many sums and norms, evenly chosen, stand for them. */
const MOST_UNNAMED = 24;

/** Of values in the order of computing: the last sum or norm of each layer. */
export function layerEnds(nodes: readonly Node[]): Node[] {
  const ends = nodes.filter((node) => LAYER_ENDS.has(node.op) && isHidden(node));
  const byLayer = new Map<string, Node>();
  for (const node of ends) {
    const layer = layerOf(node.name);
    if (layer !== undefined) byLayer.set(layer, node);
  }
  if (byLayer.size > 0) return [...byLayer.values()];
  const stride = Math.ceil(ends.length / MOST_UNNAMED);
  return ends.filter((_, i) => (ends.length - 1 - i) % stride === 0);
}
