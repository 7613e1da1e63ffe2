import { MbertError } from '../errors.ts';
import type { Call, Constant, Graph, Node } from '../ir/graph.ts';
import { scalarOf } from '../ir/match.ts';
import { tokenInput } from '../ir/names.ts';
import { pickStoredRows } from '../ir/picked-tensors.ts';
import { integerTensor } from '../ir/tensor.ts';
import type { OpenedModel } from './opened-model.ts';
import { tableRows } from './token-tables.ts';

/**
 * The model with fewer tokens: its tables of words have the rows `kept`, and new id i stands for the old id kept[i]. The
 * reference stays the whole model, so that what is written is compared with that. Throws UNSUPPORTED for a model that does
 * more with ids than look up rows, or whose answers have a number for each token.
 */
export function trimmedModel(model: OpenedModel, kept: readonly number[]): OpenedModel {
  const { path } = model;
  const build: OpenedModel['build'] = (target, shapes) => {
    const graph = model.build(target, shapes);
    for (const input of graph.inputs)
      if (tokenInput(input.name) === 'input_ids') trimTables(graph, input, { path, kept });
    return graph;
  };
  // Built once to refuse what cannot be written before anything is.
  refuseScoresOfWords(path, model.reference());
  build('onnx');
  return { ...model, build, kept, pad: Math.max(kept.indexOf(model.pad), 0), runnable: undefined };
}

function refusal(path: string, problem: string): MbertError {
  return new MbertError('UNSUPPORTED', `--trim-vocabulary: ${path}: ${problem}`, {
    hint: 'write it with its whole vocabulary',
  });
}

/**
 * Throws for outputs with a number for each token, masked-LM logits and SPLADE's embeddings: they would stay those of the
 * whole vocabulary, and no token would have its own.
 */
function refuseScoresOfWords(path: string, graph: Graph): void {
  const words = tableRows(graph, 'input_ids', 0);
  const scores = graph.outputs.find(({ node }) => words > 0 && node.type.shape.at(-1) === words);
  if (scores !== undefined) throw refusal(path, `${scores.name} has a number for each of the ${words} tokens`);
}

interface Trim {
  readonly path: string;
  readonly kept: readonly number[];
}

/** Picks the kept rows of the tables that are looked up by token ids, which may have been reshaped or cast. */
function trimTables(graph: Graph, ids: Node, trim: Trim): void {
  for (const user of [...ids.users]) {
    if (user.op === 'reshape' || user.op === 'cast') trimTables(graph, user, trim);
    else if (isTableOf(user, ids)) trimTable(graph, user, trim);
    else if (!renumberComparison(graph, user, ids, trim.kept))
      throw refusal(trim.path, `${user.name} computes with token ids`);
  }
}

function isTableOf(node: Node, ids: Node): node is Call<'gather'> {
  const [table, indices] = node.inputs;
  return node.op === 'gather' && node.attrs.axis === 0 && table?.op === 'constant' && indices === ids;
}

function trimTable(graph: Graph, node: Call<'gather'>, { path, kept }: Trim): void {
  const [table, ids] = node.inputs as readonly [Constant, Node];
  const [rows = 0] = table.tensor.shape;
  const last = kept.at(-1) ?? 0;
  if (last >= rows) throw refusal(path, `token ${last} has no row in ${table.name}, which has ${rows}`);
  if (table.type.quant !== undefined) throw refusal(path, `${table.name} is quantized`);
  graph.replace(node, () =>
    graph.add('gather', [graph.constant(pickStoredRows(table.tensor, kept), table.name), ids], node.attrs, node.name),
  );
}

/** Gives a comparison with one token's id, as that of padding, the new id; false for any other node. */
function renumberComparison(graph: Graph, node: Node, ids: Node, kept: readonly number[]): boolean {
  if (node.op !== 'compare' || node.attrs.test !== 'equal') return false;
  const other = node.inputs.find((input) => input !== ids);
  const old = other?.op === 'constant' ? scalarOf(other) : null;
  const id = old === null ? -1 : kept.indexOf(old);
  if (other === undefined || id < 0) return false;
  const { dtype } = other.type;
  if (dtype !== 'i64' && dtype !== 'i32') return false;
  const renumbered = graph.constant(
    integerTensor(dtype, [id], other.type.shape as readonly number[]),
    `${other.name}.kept`,
  );
  return graph.replace(node, () =>
    graph.add(
      'compare',
      node.inputs.map((input) => (input === other ? renumbered : input)),
      node.attrs,
      node.name,
    ),
  );
}
