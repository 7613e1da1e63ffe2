import type { Graph } from '../graph.ts';

/** What an input holds: google-research says input_mask and segment_ids, TensorFlow adds `:0` and prefixes. */
export function tokenInput(name: string): 'input_ids' | 'attention_mask' | 'token_type_ids' {
  if (/mask/i.test(name)) return 'attention_mask';
  return /type|segment/i.test(name) ? 'token_type_ids' : 'input_ids';
}

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
