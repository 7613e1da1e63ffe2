import type { Graph, Node } from './graph.ts';

/** How much further than observed a value's range reaches at its ends. */
export interface Margin {
  readonly least: number;
  readonly most: number;
}

/**
 * The margins of values whose loud channels are brought down to one size before they are rounded, by what computes
 * them. So many channels then end where the range ends that a new text exceeds it somewhere: a norm's a little, a GELU's
 * rare neurons and attention's contexts by more. A GELU's least value is always the same. Contexts without a margin cost
 * a MiniLM half a decibel, 1.2 to 1.5 are alike.
 */
const SMOOTHED_MARGINS = {
  layerNorm: { least: 1.15, most: 1.15 },
  gelu: { least: 1, most: 1.35 },
  context: { least: 1.3, most: 1.3 },
} as const satisfies { readonly [value: string]: Margin };

/**
 * Finds the margins of a graph's values; undefined for a value that ends where it was seen to end. Nothing tells a
 * smoothed context, whose scales are in the weights, from another one: so all of them count where a graph has smoothed
 * values.
 */
export function smoothedMargins(graph: Graph): (node: Node) => Margin | undefined {
  if (!hasSmoothed(graph)) return () => undefined;
  return (node) => smoothedMargin(node) ?? (isContext(node) ? SMOOTHED_MARGINS.context : undefined);
}

/** Whether a value is attention's context: the product of softmax's rows with the values, moved or not. */
function isContext(node: Node): boolean {
  let at = node;
  while (at.op === 'reshape' || at.op === 'transpose') at = at.inputs[0] as Node;
  return at.op === 'matmul' && at.inputs[0]?.op === 'softmax';
}

/** The margins of a value whose channels were scaled for the linears that read it; undefined for every other value. */
function smoothedMargin(node: Node): Margin | undefined {
  const factor = node.op === 'mul' ? node.inputs[1] : undefined;
  if (factor?.op !== 'constant' || factor.tensor.shape.length !== 1 || factor.tensor.shape[0] === 1) return undefined;
  const source = sourceOf(node.inputs[0] as Node, ['reshape', 'transpose']);
  return source.op === 'layerNorm' || source.op === 'gelu' ? SMOOTHED_MARGINS[source.op] : undefined;
}

/** Whether a graph has values that were scaled for the linears that read them, by channel or by token. */
export function hasSmoothed(graph: Graph): boolean {
  return graph.nodes().some((node) => smoothedMargin(node) !== undefined || isDividedByPeak(node));
}

/** Whether a node divides each token of a value by its peak. */
function isDividedByPeak({ op, inputs: [, divisor] }: Node): boolean {
  if (op !== 'div' || !divisor) return false;
  const peak = divisor.op === 'sqrt' ? divisor.inputs[0] : divisor;
  return peak?.op === 'maximum' && peak.inputs[0]?.op === 'max';
}

const QUIET = '.quiet';

/**
 * The name of what is left of a value whose loud channels are computed beside it. A linear has it in its weight and bias
 * alone, after which it is named where the file is read back: recipes find it by its own name.
 */
export function quietName(name: string): string {
  return `${name}${QUIET}`;
}

/**
 * Whether a node is what is left of a value, and so is no value of the model as it was: without its loud channels, or
 * before its tokens are multiplied by the peaks that they were divided by.
 */
export function isQuietPart(node: Node): boolean {
  return node.name.endsWith(QUIET) || isLinearByPeak(node);
}

/** Whether a node is the result of a linear, or a part of it, that reads tokens divided by their peaks. */
function isLinearByPeak(node: Node): boolean {
  const linear = sourceOf(node, ['slice', 'reshape']);
  return (
    linear.op === 'linear' && isDividedByPeak(sourceOf(linear.inputs[0] as Node, ['dequantize', 'quantize', 'reshape']))
  );
}

/** The node that a value is of before some moves. */
function sourceOf(node: Node, moves: readonly Node['op'][]): Node {
  let at = node;
  while (moves.includes(at.op)) at = at.inputs[0] as Node;
  return at;
}
