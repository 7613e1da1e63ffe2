import { MbertError } from '../errors.ts';
import type { Call } from '../ir/graph.ts';
import { foreignText } from '../ir/ops/foreign.ts';
import type { OpName } from '../ir/ops/index.ts';

/** The ops that a format has no form for, each with the way out. */
export type Refusals = { readonly [O in OpName]?: string };

/** Refuses a node without a lowering by its op, a foreign one by the name that its source gave it. */
export function refuse(node: Call, format: string, refused: Refusals): never {
  const op = node.op === 'foreign' ? foreignText(node.attrs) : node.op;
  const hint = refused[node.op];
  throw new MbertError('UNSUPPORTED', `${node.name}: ${format} has no lowering for ${op}`, { ...(hint && { hint }) });
}
