import type { Constant, Node } from '../../ir/graph.ts';
import { isStatic } from '../../ir/shape.ts';
import type { Quant } from '../../ir/tensor.ts';

type Blocks = Quant & { readonly per: 'block' };

/** A constant of rows that are stored in blocks along their length. */
export interface BlockedRows extends Constant {
  readonly type: Constant['type'] & { readonly shape: readonly [number, number]; readonly quant: Blocks };
}

/** The least block that MatMulNBits and GatherBlockQuantized take; larger ones are its powers of two. */
const LEAST_BLOCK = 16;

/** Whether a node is a constant in blocks of a form that ONNX Runtime's own operators read. */
export function hasBlockedRows(node: Node): node is BlockedRows {
  const { dtype, shape, quant } = node.type;
  if (node.op !== 'constant' || quant?.per !== 'block' || shape.length !== 2 || !isStatic(shape)) return false;
  const isLastAxis = quant.axis === 1 || quant.axis === -1;
  const isPower = quant.size >= LEAST_BLOCK && Number.isInteger(Math.log2(quant.size));
  return isLastAxis && isPower && (dtype === 'i4' || dtype === 'u4' || dtype === 'i8' || dtype === 'u8');
}
