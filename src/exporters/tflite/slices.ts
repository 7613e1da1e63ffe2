import { MbertError } from '../../errors.ts';
import type { Call, Node } from '../../ir/graph.ts';
import { axisOf, type Dim, isStatic, limitOf, type Shape, shapeText, sizeOf } from '../../ir/shape.ts';
import { integerTensor } from '../../ir/tensor.ts';
import type { Result, TfliteBuilder } from './builder.ts';
import { operand } from './operands.ts';
import { reshape } from './shapes.ts';
import { sameStorage } from './storage.ts';

type Slice = Call<'slice'>;

/** A cut along an axis of a shape; end 0 is the end of the axis, negative ends count from there. */
interface Cut {
  readonly from: Shape;
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Lowers slices that together cut an axis into equal parts to one SPLIT. Others are SLICE, or STRIDED_SLICE where
 * another size is known only at run time: XNNPACK declines a SLICE with size -1.
 */
export function lowerSlice(node: Slice, out: TfliteBuilder): number {
  const x = node.inputs[0] as Node;
  const axis = axisOf(node.attrs.axis, x.type.shape.length) as number;
  const { start, end } = node.attrs;
  if (typeof end === 'string') {
    const { symbol, limit } = limitOf(end);
    if (x.type.shape[axis] === end) return operand(node, 0, out);
    // A cut at the limit: STRIDED_SLICE ends where its input does.
    if (x.type.shape[axis] === symbol)
      return cut(out, operand(node, 0, out), { from: x.type.shape, axis, start, end: limit }, node);
    return lowerPrefix(node, axis, end, out);
  }
  const parts = equalParts(node, x, axis, out);
  if (parts !== null) return lowerSplit(node, axis, parts, out);
  return cut(out, operand(node, 0, out), { from: x.type.shape, axis, start, end }, node);
}

/** Live slices of x that cut this axis into equal parts, in order, or null. */
function equalParts(node: Slice, x: Node, axis: number, out: TfliteBuilder): readonly Slice[] | null {
  const size = node.attrs.end as number;
  const length = size - node.attrs.start;
  const total = x.type.shape[axis] as Dim;
  const byStart = new Map<number, Slice>();
  for (const user of x.users) {
    if (user.op !== 'slice' || !out.isLive(user) || axisOf(user.attrs.axis, x.type.shape.length) !== axis) continue;
    if (typeof user.attrs.end === 'string' || user.attrs.end - user.attrs.start !== length) continue;
    if (!sameStorage(user.type, node.type)) continue;
    if (!byStart.has(user.attrs.start)) byStart.set(user.attrs.start, user);
  }
  const parts: Slice[] = [];
  for (let part = byStart.get(0); part !== undefined; part = byStart.get(parts.length * length)) parts.push(part);
  const covers = parts.length > 1 && parts.length * length === total;
  return covers && parts.includes(node) ? parts : null;
}

/** Lowers all parts at once; siblings are defined here and lowered no more. The axis is SPLIT's first input. */
function lowerSplit(node: Slice, axis: number, parts: readonly Slice[], out: TfliteBuilder): number {
  const inputs = [out.integers('axis', [axis], []), operand(node, 0, out)];
  const results = out.ops('SPLIT', inputs, parts, { kind: 'SplitOptions', value: { numSplits: parts.length } });
  for (const [i, part] of parts.entries()) out.define(part, results[i] as number);
  return results[parts.indexOf(node)] as number;
}

function perAxis(out: TfliteBuilder, what: string, shape: Shape, value: (axis: number) => number): number {
  return out.integers(
    what,
    shape.map((_, axis) => value(axis)),
  );
}

function cut(out: TfliteBuilder, x: number, { from, axis, start, end }: Cut, result: Result): number {
  const begin = perAxis(out, 'begin', from, (i) => (i === axis ? start : 0));
  if (isStatic(result.type.shape)) {
    const sizes = out.integers('size', result.type.shape);
    return out.op('SLICE', [x, begin, sizes], result, { kind: 'SliceOptions', value: {} });
  }
  const ends = perAxis(out, 'end', from, (i) => (i === axis ? end : 0));
  const strides = perAxis(out, 'strides', from, () => 1);
  // A masked end is the axis's own, whatever size the run gives it.
  const all = 2 ** from.length - 1;
  const endMask = end === 0 ? all : all - 2 ** axis;
  return out.op('STRIDED_SLICE', [x, begin, ends, strides], result, {
    kind: 'StridedSliceOptions',
    value: { endMask },
  });
}

/**
 * Lowers y[t] = x[t + offset], zero outside: zeros are added at one end and as many elements cut off at the other. The
 * cut counts from an end, so the size may be a symbol.
 */
export function lowerShift(node: Call<'shift'>, out: TfliteBuilder): number {
  const x = node.inputs[0] as Node;
  const { shape } = x.type;
  const axis = axisOf(node.attrs.axis, shape.length) as number;
  const { offset } = node.attrs;
  if (offset === 0) return operand(node, 0, out);
  const zeros = Math.abs(offset);
  const dim = shape[axis] as Dim;
  const paddings = shape.flatMap((_, i) => (i !== axis ? [0, 0] : offset > 0 ? [0, zeros] : [zeros, 0]));
  const counts = out.integers('paddings', paddings, [shape.length, 2]);
  // The wider size is a symbol of its own: all that counts is that the run knows it, not we.
  const padded = shape.with(axis, typeof dim === 'number' ? dim + zeros : `${dim}+${zeros}`);
  const result: Result = { name: `${node.name}/padded`, type: { ...node.type, shape: padded } };
  const wide = out.op('PAD', [operand(node, 0, out), counts], result, { kind: 'PadOptions', value: {} });
  const kept = offset > 0 ? { start: zeros, end: 0 } : { start: 0, end: -zeros };
  return cut(out, wide, { from: padded, axis, ...kept }, node);
}

/**
 * Lowers the first rows of a constant table, as many as the run's sequence is long, to a look-up of 0, 1, 2, …, which
 * are counted by CUMSUM over ones shaped like an input. SHAPE and SLICE would do it too, but make every later size a
 * run-time value. Longer sequences than the table are an error when the model runs.
 */
function lowerPrefix(node: Slice, axis: number, symbol: string, out: TfliteBuilder): number {
  const x = node.inputs[0] as Node;
  const lead = x.type.shape.slice(0, axis);
  const source = out.inputWith(symbol);
  const { quant } = x.type;
  const isRows = quant === undefined || quant.per === 'tensor' || (quant.per === 'channel' && quant.axis === axis);
  if (x.op !== 'constant' || sizeOf(lead as readonly number[]) !== 1 || source === undefined || !isRows) {
    throw new MbertError(
      'UNSUPPORTED',
      `${node.name}: tflite cannot cut ${x.op} ${shapeText(x.type.shape)} to ${symbol}`,
      {
        hint: out.wayToFixSizes('give --sequence-length a number'),
      },
    );
  }
  // EMBEDDING_LOOKUP has no tables of i32.
  if (node.type.dtype === 'i32' && axis === 0) {
    const inputs = [out.value(x), positions(symbol, source, out)];
    return out.op('GATHER', inputs, node, { kind: 'GatherOptions', value: { axis } });
  }
  const [rows, ...rest] = x.tensor.shape.slice(axis) as [number, ...number[]];
  const width = sizeOf(rest);
  // Scales stay those of the rows when the axes before them, all 1, go.
  const rowQuant = quant?.per === 'channel' ? { ...quant, axis: 0 } : quant;
  const table = out.once(`table ${x.name}`, () => out.weight(x.name, { ...x.tensor, shape: [rows, width] }, rowQuant));
  const rowsOf: Result = { name: `${node.name}/rows`, type: { ...node.type, shape: [symbol, width] } };
  const looked = out.op('EMBEDDING_LOOKUP', [positions(symbol, source, out), table], rowsOf);
  return reshape(out, looked, node);
}

/** Lowers the element of x at a negative index, the last one as -1, where the run decides on the size of the axis. */
export function elementFromEnd(
  node: Node,
  x: number,
  { axis, index }: { readonly axis: number; readonly index: number },
  out: TfliteBuilder,
): number {
  const from = out.typeOf(x).shape;
  const row: Result = { name: `${node.name}/row`, type: { ...node.type, shape: from.with(axis, 1) } };
  // End 0 stands for the end of the axis.
  return reshape(out, cut(out, x, { from, axis, start: index, end: index + 1 }, row), node);
}

/** Lowers to a constant, or counts along an input whose size the run knows. */
export function lowerRange(node: Call<'range'>, out: TfliteBuilder): number {
  const { end } = node.attrs;
  if (typeof end === 'number') {
    const places = Array.from({ length: end }, (_, i) => i);
    return out.constant(node.name, integerTensor('i32', places));
  }
  const source = out.inputWith(end);
  if (source !== undefined) return positions(end, source, out);
  throw new MbertError('UNSUPPORTED', `${node.name}: tflite cannot count up to ${end}, which is no size of an input`, {
    hint: out.wayToFixSizes('give --batch and --sequence-length numbers'),
  });
}

/** Counts 0, 1, 2, … along the axis of an input. */
function positions(symbol: string, { input, axis }: { input: Node; axis: number }, out: TfliteBuilder): number {
  return out.once(`positions ${symbol}`, () => {
    const { shape } = input.type;
    const result = (part: string): Result => ({ name: `positions/${part}`, type: { dtype: 'i32', shape } });
    const zeros = out.op('MUL', [out.value(input), out.integers('scalar_i32', [0], [])], result('zeros'), {
      kind: 'MulOptions',
      value: {},
    });
    const ones = out.op('ADD', [zeros, out.integers('scalar_i32', [1], [])], result('ones'), {
      kind: 'AddOptions',
      value: {},
    });
    const count = out.op('CUMSUM', [ones, out.integers('axis', [axis], [])], result('count'), {
      kind: 'CumsumOptions',
      value: { exclusive: true },
    });
    const flat: Result = { name: 'positions', type: { dtype: 'i32', shape: [symbol] } };
    if (shape.every((dim, i) => i === axis || dim === 1)) return reshape(out, count, flat);
    // All rows of a batch count alike.
    const row = shape.map((dim, i) => (i === axis ? dim : 1));
    const begin = perAxis(out, 'begin', shape, () => 0);
    const ends = perAxis(out, 'end', shape, (i) => (i === axis ? 0 : 1));
    const strides = perAxis(out, 'strides', shape, () => 1);
    const first: Result = { name: 'positions/first', type: { dtype: 'i32', shape: row } };
    const cutOut = out.op('STRIDED_SLICE', [count, begin, ends, strides], first, {
      kind: 'StridedSliceOptions',
      value: { endMask: 2 ** axis },
    });
    return reshape(out, cutOut, flat);
  });
}
