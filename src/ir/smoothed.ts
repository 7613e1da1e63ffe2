import type { Graph, Node } from './graph.ts';

/** How much further than observed a value's range reaches at its ends. */
export interface Margin {
  readonly least: number;
  readonly most: number;
}

/**
 * The margins of values whose loud channels are brought down to one size before they are rounded, by the op that
 * computes them. So many channels then end where the range ends that a new text exceeds it somewhere: a norm's a
 * little, a GELU's rare neurons by more. A GELU's least value is always the same.
 */
const SMOOTHED_MARGINS = {
  layerNorm: { least: 1.15, most: 1.15 },
  gelu: { least: 1, most: 1.35 },
} as const satisfies { readonly [op: string]: Margin };

/** The margins of a value whose channels were scaled by smooth-activations; undefined for every other value. */
export function smoothedMargin(node: Node): Margin | undefined {
  if (node.op !== 'mul') return undefined;
  const [x, factor] = node.inputs as readonly [Node, Node];
  const isVector = factor.op === 'constant' && factor.tensor.shape.length === 1 && factor.tensor.shape[0] !== 1;
  const source = x.op === 'reshape' ? (x.inputs[0] as Node) : x;
  if (!isVector || (source.op !== 'layerNorm' && source.op !== 'gelu')) return undefined;
  return SMOOTHED_MARGINS[source.op];
}

/** Whether a graph has values that smooth-activations has scaled. */
export function hasSmoothed(graph: Graph): boolean {
  return graph.nodes().some((node) => smoothedMargin(node) !== undefined);
}
