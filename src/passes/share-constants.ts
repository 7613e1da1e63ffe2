import type { Constant } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { byteLength, type Tensor } from '../ir/tensor.ts';

/**
 * The largest constant that is compared by value. Larger ones are shared only if they hold the same tensor: comparing
 * weights would read them all again.
 */
const MAX_COMPARED_BYTES = 16_384;

/** Merges equal constants into one node. */
export const shareConstants: Pass = {
  name: 'share-constants',
  summary: 'two equal constants  ->  one',
  keeps: 'bits',
  run(graph) {
    const byTensor = new Map<Tensor, Constant>();
    const byValue = new Map<string, Constant>();
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op !== 'constant' || node.type.quant) continue;
      const { tensor } = node;
      const small = byteLength(tensor.dtype, tensor.shape) <= MAX_COMPARED_BYTES;
      const key = small ? `${tensor.dtype}[${tensor.shape}]${Buffer.from(tensor.bytes()).toString('latin1')}` : '';
      const equal = byTensor.get(tensor) ?? (small ? byValue.get(key) : undefined);
      byTensor.set(tensor, equal ?? node);
      if (small) byValue.set(key, equal ?? node);
      if (equal && graph.replace(node, () => equal)) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
