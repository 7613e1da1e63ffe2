import { ONNX_DTYPES } from '../../formats/onnx.ts';
import type { Call, Node } from '../../graph.ts';
import { isFloat } from '../../op.ts';
import type { OnnxBuilder } from './builder.ts';

/** ONNX's "to the end of the axis", whatever its size (operator Slice). */
const TO_THE_END = 2 ** 31 - 1;

/**
 * The target as constants where ONNX can work out the rest: 0 copies the size at the same place of x, -1 is what is
 * left over. Two or more unknown sizes are read from the inputs' shapes at run time.
 */
export function reshape(node: Call<'reshape'>, out: OnnxBuilder): void {
  const x = node.inputs[0] as Node;
  const { shape } = node.attrs;
  const sizes = shape.map((dim, i) => (typeof dim === 'string' && dim === x.type.shape[i] ? 0 : dim));
  const rest = sizes.findLastIndex((size) => typeof size === 'string');
  const known = sizes.map((size, i) => (i === rest ? -1 : size));
  const target = known.every((size) => typeof size === 'number')
    ? out.integers(known)
    : out.once(`shape_${known.join('_')}`, (key) =>
        out.emit(
          key,
          'Concat',
          known.map((size) => out.size(size, node)),
          { axis: { int: 0 } },
        ),
      );
  out.result(node, 'Reshape', [out.value(x), target]);
}

/** Slices that together cover their input are one Split. */
export function slice(node: Call<'slice'>, out: OnnxBuilder): void {
  const x = out.value(node.inputs[0] as Node);
  const { axis, start, end } = node.attrs;
  const group = out.fusions.splits.get(node);
  if (group) {
    const sizes = group.map(({ attrs }) => (attrs.end as number) - attrs.start);
    out.results(group, 'Split', [x, out.integers(sizes)], { axis: { int: axis } });
  } else {
    out.result(node, 'Slice', [x, out.integers([start]), out.size(end, node), out.integers([axis])]);
  }
}

/** y[t] = x[t + offset]: zeros come in at one end, then the other is cut, so that no length is too short. */
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

/** An f16 table is read first and widened after: only the picked rows take f32's memory. */
export function gather(node: Call<'gather'>, out: OnnxBuilder): void {
  const [table, indices] = node.inputs as readonly [Node, Node];
  const axis = { axis: { int: node.attrs.axis } };
  const stored = table.op === 'constant' ? out.stored(table) : undefined;
  if (!stored || !isFloat(stored.dtype) || stored.dtype === 'f32') {
    out.result(node, 'Gather', [out.value(table), out.value(indices)], axis);
    return;
  }
  const rows = out.step(node, 'rows', 'Gather', [stored.name, out.value(indices)], axis);
  out.result(node, 'Cast', [rows], { to: { int: ONNX_DTYPES.f32 } });
}
