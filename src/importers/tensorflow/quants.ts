import type { Quant } from '../../ir/tensor.ts';
import type { TfBuilder, Value } from './builder.ts';
import type { FlatNode } from './inline.ts';
import type { Lowering } from './shapes.ts';

/** Lowerings of quantization-aware training's nodes, which round their input to the steps of a range. */
export const quantLowerings: { readonly [op: string]: Lowering } = {
  FakeQuantWithMinMaxArgs: (node, out) => {
    const range = { least: node.attributes.float('min'), most: node.attributes.float('max') };
    return roundedTo(node, out, range);
  },
  FakeQuantWithMinMaxVars: (node, out) => {
    const least = out.scalar(node, 1);
    const most = out.scalar(node, 2);
    return least === null || most === null ? null : roundedTo(node, out, { least, most });
  },
};

/** Default of the attribute num_bits. */
const DEFAULT_BITS = 8;

/**
 * Rounds to a range that is moved so that 0 is one of its steps, as Nudge does in
 * tensorflow/core/kernels/fake_quant_ops_functor.h. Steps are counted from 0, or from 1 where the range is narrow.
 */
function roundedTo(node: FlatNode, out: TfBuilder, { least, most }: { least: number; most: number }): Value | null {
  const x = out.tensor(node, 0);
  const bits = node.attributes.int('num_bits') || DEFAULT_BITS;
  if (x === null || bits !== 8 || !(least < most) || least > 0 || most < 0) return null;
  const first = node.attributes.bool('narrow_range') ? 1 : 0;
  const scale = (most - least) / (255 - first);
  const zeroPoint = Math.min(255, Math.max(first, Math.round(first - least / scale)));
  const quant: Quant = { per: 'tensor', scale, zeroPoint };
  const rounded = out.graph.add('quantize', [x], {}, node.name);
  out.graph.setType(rounded, { dtype: 'u8', shape: x.type.shape, quant });
  return { kind: 'node', node: rounded };
}
