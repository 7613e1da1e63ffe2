import type { Node } from '../ir/graph.ts';
import { readF32 } from '../ir/tensor.ts';
import type { Range } from './qparams.ts';

/** The least and largest element of a constant. */
export function constantRange(node: Node): Range {
  if (node.op !== 'constant') throw new Error(`${node.name} is no constant`);
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const value of readF32(node.tensor)) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { least, most };
}
