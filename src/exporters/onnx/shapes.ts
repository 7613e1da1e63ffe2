import { ONNX_DTYPES } from '../../formats/onnx.ts';
import type { Call, Node } from '../../ir/graph.ts';
import { isStatic, type Shape } from '../../ir/shape.ts';
import type { OnnxBuilder } from './builder.ts';

/** End of a Slice that means "to the end of the axis", whatever its size. */
const TO_THE_END = 2 ** 31 - 1;

export function reshape(node: Call<'reshape'>, out: OnnxBuilder): void {
  const x = node.inputs[0] as Node;
  out.result(node, 'Reshape', [out.value(x), reshapeSizes(node, node.attrs.shape, x.type.shape, out)]);
}

/**
 * Target of a Reshape, as constants where ONNX can work out the rest: 0 copies the size at the same place of `from`, -1
 * is what is left over. Two or more unknown sizes are read from the inputs' shapes at run time.
 */
export function reshapeSizes(node: Node, shape: Shape, from: Shape, out: OnnxBuilder): string {
  const sizes = shape.map((dim, i) => (typeof dim === 'string' && dim === from[i] ? 0 : dim));
  const rest = sizes.findLastIndex((size) => typeof size === 'string');
  return sizesOf(
    node,
    sizes.map((size, i) => (i === rest ? -1 : size)),
    out,
  );
}

/** Writes Expand. A size of 1 leaves x's own as it is, so only the axes that grow have to be known. */
export function expand(node: Call<'expand'>, out: OnnxBuilder): void {
  const x = node.inputs[0] as Node;
  const { shape } = node.attrs;
  const added = shape.length - x.type.shape.length;
  const sizes = shape.map((dim, i) => (dim === x.type.shape[i - added] ? 1 : dim));
  out.result(node, 'Expand', [out.value(x), sizesOf(node, sizes, out)]);
}

function sizesOf(node: Node, sizes: Shape, out: OnnxBuilder): string {
  if (isStatic(sizes)) return out.integers(sizes);
  return out.once(`shape_${sizes.join('_')}`, (key) => {
    const parts = sizes.map((size) => out.size(size, node));
    return out.emit(key, 'Concat', parts, { axis: { int: 0 } });
  });
}

/** Writes y[t] = x[t + offset]: zeros come in at one end, then the other is cut, so that no length is too short. */
export function shift(node: Call<'shift'>, out: OnnxBuilder): void {
  const { axis, offset } = node.attrs;
  const x = node.inputs[0] as Node;
  const rank = x.type.shape.length;
  const pads = new Array<number>(2 * rank).fill(0);
  const at = axis < 0 ? axis + rank : axis;
  pads[offset > 0 ? rank + at : at] = Math.abs(offset);
  const padded = out.step(node, 'padded', 'Pad', [out.value(x), out.integers(pads)]);
  const [start, end] = offset < 0 ? [0, offset] : [offset, TO_THE_END];
  out.result(node, 'Slice', [padded, ...[start, end, at].map((value) => out.integers([value]))]);
}

export function pad(node: Call<'pad'>, out: OnnxBuilder): void {
  const { before, after } = node.attrs;
  out.result(node, 'Pad', [out.value(node.inputs[0] as Node), out.integers([...before, ...after])]);
}

export function range(node: Call<'range'>, out: OnnxBuilder): void {
  const { end, to } = node.attrs;
  const length = out.step(node, 'length', 'Squeeze', [out.size(end, node)]);
  const inputs = [out.integer(0), length, out.integer(1)];
  if (to === 'i64') out.result(node, 'Range', inputs);
  else out.result(node, 'Cast', [out.step(node, 'wide', 'Range', inputs)], { to: { int: ONNX_DTYPES[to] } });
}
