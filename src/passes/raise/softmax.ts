import type { Node } from '../../ir/graph.ts';
import { any, op, scalar } from '../../ir/match.ts';
import { rewrite } from '../../ir/pass.ts';
import { readF32 } from '../../ir/tensor.ts';

/** The number of ops through which scores are followed back: a mask is a handful of ops. */
const MAX_DEPTH = 16;

/** Ops at which the search ends: the sums and products that attention computes are finite if activations are. */
const COMPUTED: ReadonlySet<Node['op']> = new Set(['linear', 'matmul', 'layerNorm', 'noNorm', 'softmax', 'gather']);

/** Ops whose results are finite where their inputs are. */
const KEEPS_FINITE: ReadonlySet<Node['op']> = new Set([
  'add',
  'sub',
  'mul',
  'cast',
  'where',
  'and',
  'or',
  'not',
  'compare',
  'minimum',
  'maximum',
  'reshape',
  'transpose',
  'expand',
  'slice',
  'concat',
]);

/** Whether a value is finite: no infinite constant goes into it, and no mask that is itself an input. */
function staysFinite(node: Node, depth = 0): boolean {
  if (node.op === 'constant') return node.type.quant !== undefined || readF32(node.tensor).every(Number.isFinite);
  if (node.op === 'input') return node.type.dtype !== 'f32';
  if (COMPUTED.has(node.op)) return true;
  return KEEPS_FINITE.has(node.op) && depth < MAX_DEPTH && node.inputs.every((input) => staysFinite(input, depth + 1));
}

/**
 * Drops the guard against NaN. A softmax gives NaN only for a row that is -inf throughout; with a finite mask there is
 * no such row.
 */
export const raiseSoftmax = rewrite({
  name: 'raise-softmax',
  summary: 'where(isNan(softmax(x)), 0, softmax(x))  ->  softmax(x)',
  keeps: 'values',
  pattern: op('where', [op('isNan', [any('softmax')]), scalar(0), any('softmax')]),
  replace(_, { softmax }) {
    if (softmax.op !== 'softmax') return 'what it guards is no softmax';
    return staysFinite(softmax.inputs[0] as Node) ? softmax : 'its mask may be -inf for a whole row';
  },
});
