import type { Graph } from '../graph.ts';
import { tokenInput } from '../token-inputs.ts';

/** How many rows the table has that an input looks up, 1 where there is none: LiteRT does not check ids, and reads what lies behind the table. */
export function tableRows(graph: Graph, input: string): number {
  for (const node of graph.nodes()) {
    const [table, indices] = node.inputs;
    if (node.op !== 'gather' || table === undefined || indices === undefined) continue;
    const ids = indices.op === 'reshape' || indices.op === 'cast' ? indices.inputs[0] : indices;
    if (ids?.op === 'input' && tokenInput(ids.name) === input) return table.type.shape[0] as number;
  }
  return 1;
}
