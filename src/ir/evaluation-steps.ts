import type { Call } from './graph.ts';
import { nameInputs } from './op.ts';
import { opDef } from './ops/index.ts';
import { isStatic, sizeOf } from './shape.ts';

/** Steps that evaluating a node takes, each reading one number; infinite where its size is known only at run time. */
export function evaluationSteps(node: Call): number {
  const { shape } = node.type;
  if (!isStatic(shape)) return Number.POSITIVE_INFINITY;
  const def = opDef(node.op);
  const types = node.inputs.map((input) => input.type);
  const terms = def.terms?.(nameInputs(def, types, node.name)) ?? 1;
  if (typeof terms === 'string') return Number.POSITIVE_INFINITY;
  return types.reduce((steps, type) => steps + (isStatic(type.shape) ? sizeOf(type.shape) : 0), sizeOf(shape) * terms);
}
