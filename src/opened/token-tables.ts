import type { Graph } from '../ir/graph.ts';
import { tokenInput } from '../ir/names.ts';

/**
 * The rows of the smallest table that an input looks up, `otherwise` where it looks up none. Ids must stay below this:
 * LiteRT does not check them, and reads what lies behind the table.
 */
export function tableRows(graph: Graph, input: string, otherwise = 1): number {
  let rows = Number.POSITIVE_INFINITY;
  for (const node of graph.nodes()) {
    const [table, indices] = node.inputs;
    if (node.op !== 'gather' || table === undefined || indices === undefined) continue;
    const ids = indices.op === 'reshape' || indices.op === 'cast' ? indices.inputs[0] : indices;
    if (ids?.op !== 'input' || tokenInput(ids.name) !== input) continue;
    const [size] = table.type.shape;
    if (typeof size === 'number') rows = Math.min(rows, size);
  }
  return Number.isFinite(rows) ? rows : otherwise;
}
