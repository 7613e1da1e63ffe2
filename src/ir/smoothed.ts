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
  linear: { least: 1.15, most: 1.15 },
  layerNorm: { least: 1.15, most: 1.15 },
  gelu: { least: 1, most: 1.35 },
} as const satisfies { readonly [op: string]: Margin };

/**
 * The margins of a value whose channels were scaled by smooth-activations, or by smooth-results, which scales them back
 * behind it; undefined for every other value.
 */
export function smoothedMargin(node: Node): Margin | undefined {
  if (node.op === 'linear') return isScaledBack(node) ? SMOOTHED_MARGINS.linear : undefined;
  if (!isVectorProduct(node)) return undefined;
  const x = node.inputs[0] as Node;
  const source = x.op === 'reshape' ? (x.inputs[0] as Node) : x;
  return source.op === 'layerNorm' || source.op === 'gelu' ? SMOOTHED_MARGINS[source.op] : undefined;
}

function isScaledBack(linear: Node): boolean {
  return linear.users.size === 1 && [...linear.users].every(isVectorProduct);
}

function isVectorProduct(node: Node): boolean {
  const factor = node.op === 'mul' ? node.inputs[1] : undefined;
  return factor?.op === 'constant' && factor.tensor.shape.length === 1 && factor.tensor.shape[0] !== 1;
}

/** Whether a graph has values that smooth-activations has scaled. */
export function hasSmoothed(graph: Graph): boolean {
  return graph.nodes().some((node) => smoothedMargin(node) !== undefined);
}
