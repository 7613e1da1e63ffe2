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

/** The margins of a value whose channels were scaled for the linears that read it; undefined for every other value. */
export function smoothedMargin(node: Node): Margin | undefined {
  const factor = node.op === 'mul' ? node.inputs[1] : undefined;
  if (factor?.op !== 'constant' || factor.tensor.shape.length !== 1 || factor.tensor.shape[0] === 1) return undefined;
  const x = node.inputs[0] as Node;
  const source = x.op === 'reshape' ? (x.inputs[0] as Node) : x;
  return source.op === 'layerNorm' || source.op === 'gelu' ? SMOOTHED_MARGINS[source.op] : undefined;
}

/** Whether a graph has values whose channels were scaled for the linears that read them. */
export function hasSmoothed(graph: Graph): boolean {
  return graph.nodes().some((node) => smoothedMargin(node) !== undefined);
}
