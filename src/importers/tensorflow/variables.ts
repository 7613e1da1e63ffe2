import { MbertError } from '../../errors.ts';
import type { TfNode } from '../../formats/graphdef.ts';
import type { TfMetaGraph } from '../../formats/saved-model.ts';
import { dataInputs, Inliner, type Scope } from './inline.ts';

/** TF2 assigns to resources, TF1 to references. */
const ASSIGNMENTS: ReadonlySet<string> = new Set(['Assign', 'AssignVariableOp']);

/**
 * For each variable's node the key of its value in the checkpoint. Both kinds of SavedModel say so in the operation that
 * restores them: each variable is assigned an output of RestoreV2, whose names are constants. TF2 has that in a function
 * that the operation calls, TF1 in the main graph.
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
    keys.set(variable.node.name, keyOf(inliner, value.scope, value.node, value.output, file));
  }
  return keys;
}

/** RestoreV2: prefix, tensor_names, shape_and_slices. */
function keyOf(inliner: Inliner, scope: Scope, restore: TfNode, output: number, file: string): string {
  const [, names, slices] = dataInputs(restore).map((input) =>
    inliner.resolve(scope, input).node.attributes.tensor('value'),
  );
  const key = names?.texts()[output];
  if (key === undefined) throw new MbertError('MALFORMED', `${file}: ${restore.name}: restores no tensor ${output}`);
  const slice = slices?.texts()[output] ?? '';
  if (slice !== '') throw new MbertError('UNSUPPORTED', `${file}: ${key}: is one part of a partitioned variable`);
  return key;
}
