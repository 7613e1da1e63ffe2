import { openSource } from '../importers/index.ts';
import type { Graph } from '../ir/graph.ts';
import { type GraphOutline, type OutlineOptions, outlineOf } from './outline.ts';

/**
 * Outline of a source's graph as the source stores it: opening a model leaves floats in places of quantized files, and a
 * picture is to show how they are stored. `graph` is what was built of a checkpoint, which stores none.
 */
export async function storedOutline(
  source: string,
  graph: Graph,
  { base, ...options }: OutlineOptions & { readonly base?: string | undefined },
): Promise<GraphOutline> {
  const opened = await openSource(source, { base });
  if (opened.yields !== 'graph') {
    opened.checkpoint.close();
    return outlineOf(graph, options);
  }
  try {
    return outlineOf(opened.graph, options);
  } finally {
    opened.close();
  }
}
