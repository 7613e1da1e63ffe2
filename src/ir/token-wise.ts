import type { Call, Node } from './graph.ts';
import type { Attrs } from './op.ts';
import { opDef } from './ops/index.ts';
import { axisOf } from './shape.ts';

/** True for an op that computes each token [..., channels] of its result from the same token of what it reads. */
export function isTokenWise(node: Call): boolean {
  const { tokens } = opDef(node.op);
  if (tokens !== 'along-axis') return tokens !== 'mixed';
  const rank = node.type.shape.length;
  return axisOf((node.attrs as { readonly axis: number }).axis, rank) === rank - 1;
}

/** True for a token-wise op that works along an axis, which is then the last one. */
export function isAlongChannels(node: Call): boolean {
  return opDef(node.op).tokens === 'along-axis';
}

/** True for an input that by the op's definition holds the same numbers for all tokens, as a weight does. */
export function isParameter(node: Call, index: number): boolean {
  return opDef(node.op).tokens === 'first-input' && index > 0;
}

/** True for an op that moves tokens about and leaves the channels of each together. */
export function keepsChannels(node: Call): boolean {
  const [x] = node.inputs;
  return x !== undefined && opDef(node.op).moves?.keepsChannels(x.type.shape, node.attrs as Attrs) === true;
}

/**
 * True for a value with channels for each token, [batch, tokens, channels] or [tokens, channels]; a pooled value has
 * one row.
 */
export function isHidden({ type: { shape } }: Node): boolean {
  return shape.length === 3 || (shape.length === 2 && shape[0] !== 1);
}
