import type { Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { axisOf } from '../ir/shape.ts';
import { computedTensor, readF32, type Tensor } from '../ir/tensor.ts';
import { constantLinear } from './attention.ts';

/** Finds what each part of a trigram reads: the token itself (0) or a neighbour (1 next, -1 previous). */
function neighbours(concat: Node): { readonly x: Node; readonly offsets: readonly number[] } | null {
  if (concat.op !== 'concat' || concat.type.shape.length !== 3 || axisOf(concat.attrs.axis, 3) !== 2) return null;
  const parts = concat.inputs.map((part) =>
    part.op === 'shift' && axisOf(part.attrs.axis, 3) === 1
      ? { x: part.inputs[0] as Node, offset: part.attrs.offset }
      : { x: part, offset: 0 },
  );
  const x = parts[0]?.x;
  const offsets = parts.map(({ offset }) => offset);
  const reach = [...offsets].sort((a, b) => a - b).map((offset, i) => offset + (offsets.length - 1) / 2 - i);
  const centred = offsets.length % 2 === 1 && reach.every((distance) => distance === 0);
  return x && centred && parts.every((part) => part.x === x) ? { x, offsets } : null;
}

/** Rearranges W [out, parts * in] of the concatenation as a filter [out, parts, in] in the order of the offsets. */
function filterOf(weight: Tensor, offsets: readonly number[]): Tensor {
  const [out, joined] = weight.shape as readonly [number, number];
  const channels = joined / offsets.length;
  return computedTensor('f32', [out, offsets.length, channels], () => {
    const source = readF32(weight);
    const filter = new Float32Array(source.length);
    for (let o = 0; o < out; o++) {
      offsets.forEach((offset, part) => {
        const tap = offset + (offsets.length - 1) / 2;
        const from = o * joined + part * channels;
        filter.set(source.subarray(from, from + channels), (o * offsets.length + tap) * channels);
      });
    }
    return filter;
  });
}

/**
 * Replaces the trigram front (MobileBERT section 3.1) by a convolution of width 3 over the sequence: one op in place of
 * six.
 */
export const trigramToConvolution: Pass = {
  name: 'trigram-to-convolution',
  summary: 'linear(concat(next x, x, previous x))  ->  conv1d(x)',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      const linear = constantLinear(node);
      const trigram = linear && neighbours(linear.x);
      if (!linear || !trigram || linear.node.attrs.activation !== 'none' || context.keeps(node)) continue;
      graph.replace(node, () => {
        const filter = graph.constant(filterOf(linear.weight.tensor, trigram.offsets), linear.weight.name);
        return graph.add('conv1d', [trigram.x, filter, ...(linear.bias ? [linear.bias] : [])], {}, node.name);
      });
      rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
