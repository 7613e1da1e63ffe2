import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import { runPasses } from '../../ir/pass.ts';
import type { Dim } from '../../ir/shape.ts';
import { selectPasses } from '../index.ts';
import { raise } from '../raise/raise.ts';
import { canonicalPasses, unfoldingPasses } from './canonical.ts';
import { forwardBias } from './forward-bias.ts';

/**
 * Brings copies of two graphs into one form, so that they differ only where their meaning does: high-level ops are
 * found, exact passes run, ids have one type, and the symbols of one side are bound to what the other has fixed or
 * named. With `how` = `raise` the exact passes are left out. The arguments stay as they are.
 */
export async function normalizeBoth(
  a: Graph,
  b: Graph,
  how: 'exact' | 'raise' = 'exact',
): Promise<{ readonly a: Graph; readonly b: Graph }> {
  const sizes = unifyShapes(a, b);
  return { a: await normalize(a, sizes.a, how), b: await normalize(b, sizes.b, how) };
}

async function normalize(graph: Graph, sizes: Sizes, how: 'exact' | 'raise'): Promise<Graph> {
  const copy = copyGraph(graph, { bindings: sizes, indexType: 'i64' });
  await raise(copy);
  if (how === 'exact') await runPasses(copy, [...unfoldingPasses, ...EXACT_PASSES, ...canonicalPasses]);
  return copy;
}

/**
 * Moves biases of normalized graphs to where both have them. Done only on request: afterwards a weight that differs is
 * reported together with a bias that it was multiplied with.
 */
export async function moveBiases(...graphs: readonly Graph[]): Promise<void> {
  for (const graph of graphs) await runPasses(graph, [forwardBias, ...canonicalPasses]);
}

/** Passes that undo each format's own form or apply it to both sides: tokens in rows, the trigram as a convolution. */
const EXACT_PASSES = selectPasses('trigram-to-convolution', 'onnx');

interface Sizes {
  [symbol: string]: Dim;
}

/** Binds the symbols of both sides: to a size where the other side has one, to one name where both have symbols. */
function unifyShapes(a: Graph, b: Graph): { readonly a: Sizes; readonly b: Sizes } {
  const sizes = { a: {}, b: {} };
  for (const [i, from] of a.inputs.entries()) {
    const to = b.inputs.find(({ name }) => name === from.name) ?? b.inputs[i];
    if (to?.type.shape.length !== from.type.shape.length) continue;
    for (const [axis, dim] of from.type.shape.entries()) bindOne(sizes, dim, to.type.shape[axis] as Dim);
  }
  return sizes;
}

function bindOne(sizes: { readonly a: Sizes; readonly b: Sizes }, a: Dim, b: Dim): void {
  if (a === b) return;
  if (typeof a === 'string' && typeof b === 'number') sizes.a[a] = b;
  else if (typeof b === 'string') sizes.b[b] = a;
}
