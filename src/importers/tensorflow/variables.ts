import { MbertError } from '../../errors.ts';
import type { TfMetaGraph } from '../../formats/saved-model.ts';
import { dataInputs, Inliner, type NodeOutput } from './inline.ts';

/** Ops that assign to variables: TF2 to resources, TF1 to references. */
const ASSIGNMENTS: ReadonlySet<string> = new Set(['Assign', 'AssignVariableOp']);

/**
 * Finds for each variable's node the key of its value in the checkpoint. Both kinds of SavedModel tell it in the
 * operation that restores them: each variable is assigned an output of RestoreV2, whose names are constants. TF2 has
 * that in a function that the operation calls, TF1 in the main graph.
 */
export function restoredVariables({ graph, restore }: TfMetaGraph, file: string): Map<string, string> {
  const inliner = new Inliner(graph, file);
  const operation = inliner.main.nodes.get(restore.replace(/:0$/, ''));
  const scope = operation !== undefined && inliner.isCall(operation) ? inliner.bodyOf(operation) : inliner.main;
  const keys = new Map<string, string>();
  for (const node of scope.nodes.values()) {
    if (!ASSIGNMENTS.has(node.op)) continue;
    const [variable, value] = dataInputs(node).map((input) => inliner.resolve(scope, input));
    if (variable === undefined || value?.node.op !== 'RestoreV2') continue;
    keys.set(variable.node.name, keyOf(inliner, value, file));
  }
  return keys;
}

/** Key of an output of RestoreV2, whose inputs are prefix, tensor_names, shape_and_slices. */
function keyOf(inliner: Inliner, { scope, node: restore, output }: NodeOutput, file: string): string {
  const [, names, slices] = dataInputs(restore).map((input) =>
    inliner.resolve(scope, input).node.attributes.tensor('value'),
  );
  const key = names?.texts()[output];
  if (key === undefined) throw new MbertError('MALFORMED', `${file}: ${restore.name}: restores no tensor ${output}`);
  const slice = slices?.texts()[output] ?? '';
  if (slice !== '') throw new MbertError('UNSUPPORTED', `${file}: ${key}: is one part of a partitioned variable`);
  return key;
}
