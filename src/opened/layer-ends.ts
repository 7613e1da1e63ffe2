import type { Node } from '../ir/graph.ts';
import { layerOf } from '../ir/names.ts';
import { isHidden } from '../ir/token-wise.ts';

/** Ops that end a layer: sums and norms. */
const LAYER_ENDS: ReadonlySet<string> = new Set(['add', 'layerNorm', 'noNorm']);

/** Number of sums and norms, evenly chosen, that stand for the layers of an imported graph, as those have no names. */
const MAX_UNNAMED = 24;

/** The last sum or norm of each layer, from nodes in the order of computing. */
export function layerEnds(nodes: readonly Node[]): Node[] {
  const sums = nodes.filter((node) => LAYER_ENDS.has(node.op));
  const ends = sums.filter(isHidden);
  const byLayer = lastByLayer(ends);
  // A last layer may compute one token, whose values look like pooled ones: it has no others.
  const flat = lastByLayer(sums.filter(({ type: { shape } }) => shape.length === 2));
  for (const [layer, node] of flat) if (byLayer.size > 0 && !byLayer.has(layer)) byLayer.set(layer, node);
  if (byLayer.size > 0) return [...byLayer.values()];
  const stride = Math.ceil(ends.length / MAX_UNNAMED);
  return ends.filter((_, i) => (ends.length - 1 - i) % stride === 0);
}

/** The last node of each layer, by the layer in their names. */
function lastByLayer(nodes: readonly Node[]): Map<string, Node> {
  const byLayer = new Map<string, Node>();
  for (const node of nodes) {
    const layer = layerOf(node.name);
    if (layer !== undefined) byLayer.set(layer, node);
  }
  return byLayer;
}
