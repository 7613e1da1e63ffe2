import { ONNX_DTYPES } from '../../formats/onnx.ts';
import type { Call, Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { axisOf } from '../../ir/shape.ts';
import { DTYPES } from '../../ir/tensor.ts';
import { gatherBlocks, looksUpBlocks } from './blocks.ts';
import type { OnnxBuilder, Stored } from './builder.ts';

/** Picks from a constant, by name, along the axis in question, and names what it picked. */
type Pick = (source: string, part: string) => string;

export function gather(node: Call<'gather'>, out: OnnxBuilder): void {
  const [table, indices] = node.inputs as readonly [Node, Node];
  if (out.operators === 'onnxruntime' && looksUpBlocks(node)) {
    gatherBlocks(node, out);
    return;
  }
  const axis = axisOf(node.attrs.axis, table.type.shape.length) as number;
  const attributes = { axis: { int: axis } };
  const ids = out.value(indices);
  const pick: Pick = (source, part) =>
    out.step(node, part, 'Gather', [source, ids], part === 'scale' ? {} : attributes);
  if (pickStored(node, table, axis, pick, out)) return;
  out.result(node, 'Gather', [out.value(table), ids], attributes);
}

/** Writes Slice, or one Split for slices that together cover their input. */
export function slice(node: Call<'slice'>, out: OnnxBuilder): void {
  const x = node.inputs[0] as Node;
  const { axis, start, end } = node.attrs;
  const group = out.fusions.splits.get(node);
  if (group) {
    const sizes = group.map(({ attrs }) => (attrs.end as number) - attrs.start);
    out.results(group, 'Split', [out.value(x), out.integers(sizes)], { axis: { int: axis } });
    return;
  }
  const range = (at: number) => [out.integers([start]), out.size(end, node), out.integers([at])];
  const pick: Pick = (source, part) => out.step(node, part, 'Slice', [source, ...range(part === 'scale' ? 0 : axis)]);
  if (pickStored(node, x, axisOf(axis, x.type.shape.length) as number, pick, out)) return;
  out.result(node, 'Slice', [out.value(x), ...range(axis)]);
}

/**
 * Picks from a constant that is stored narrower than f32 and widens after: only what was picked takes f32's memory and
 * time. (A DequantizeLinear of the whole table would run at each call: 84 times slower, measured on [30522, 128] and
 * 64 ids.) With a scale per row, the scales are picked like the rows. False where that cannot be.
 */
function pickStored(node: Node, table: Node, axis: number, pick: Pick, out: OnnxBuilder): boolean {
  if (table.op !== 'constant') return false;
  const stored = out.stored(table);
  const { dtype, quant } = stored.type;
  if (!quant) {
    if (!isFloat(dtype) || dtype === 'f32') return false;
    out.result(node, 'Cast', [pick(stored.name, 'rows')], { to: { int: ONNX_DTYPES.f32 } });
    return true;
  }
  // Gather and Slice take no 4-bit integers.
  if (DTYPES[dtype] === 4) return false;
  if (quant.per === 'tensor') {
    const zeroPoint = out.zeroPointOf(stored) as string;
    out.result(node, 'DequantizeLinear', [pick(stored.name, 'rows'), out.scaleOf(stored), zeroPoint]);
    return true;
  }
  if (quant.per !== 'channel' || quant.axis !== axis || quant.zeroPoints) return false;
  const rows = out.step(node, 'cast', 'Cast', [pick(stored.name, 'rows')], { to: { int: ONNX_DTYPES.f32 } });
  out.result(node, 'Mul', [rows, pickedScales(node, stored, axis, pick, out)]);
  return true;
}

/** Picks a scale for each picked row, with an axis of 1 for each that the row itself has. */
function pickedScales(node: Node, stored: Stored, axis: number, pick: Pick, out: OnnxBuilder): string {
  const scales = pick(out.scaleOf(stored), 'scale');
  const inner = stored.type.shape.length - axis - 1;
  if (inner === 0) return scales;
  const axes = Array.from({ length: inner }, (_, i) => i - inner);
  return out.step(node, 'scales', 'Unsqueeze', [scales, out.integers(axes)]);
}
