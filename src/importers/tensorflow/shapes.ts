import type { Node } from '../../ir/graph.ts';
import { axisOf, type Dim, isStatic, product, type Shape, sameShape } from '../../ir/shape.ts';
import { reshapeTarget } from '../dims.ts';
import { planStridedSlice, type SlicePlan } from '../strided-slice.ts';
import { dtypeAttribute, integers, type TfBuilder, type Value } from './builder.ts';
import type { FlatNode } from './inline.ts';
import { masksOf } from './integers.ts';

/** Lowers a TensorFlow node; null where mbert has no words for it. */
export type Lowering = (node: FlatNode, out: TfBuilder) => Value | readonly Value[] | null;

/** Lowerings of ops that move elements and compute nothing. */
export const shapeLowerings: { readonly [op: string]: Lowering } = {
  BroadcastTo: (node, out) => {
    const x = out.tensor(node, 0);
    const target = out.dims(node, 1);
    return x && target && out.add(node, 'expand', [x], { shape: target });
  },
  ConcatV2: concat,
  ExpandDims: (node, out) => reshapeBy(node, out, (shape) => expandedShape(shape, out.integer(node, 1))),
  Fill: fill,
  Pack: pack,
  Pad: pad,
  Range: range,
  Rank: (node, out) => integers([shapeOf(node, out)?.length ?? 0], []),
  Reshape: (node, out) => reshapeBy(node, out, (shape) => targetShape(shape, out.dims(node, 1))),
  Shape: shape,
  Size: (node, out) => {
    const dims = shapeOf(node, out);
    return dims && integers([product(dims)], []);
  },
  Slice: slice,
  Split: split,
  SplitV: splitBySizes,
  Squeeze: (node, out) => reshapeBy(node, out, (from) => squeezedShape(from, node.attributes.ints('squeeze_dims'))),
  StridedSlice: stridedSlice,
  Transpose: transpose,
  Unpack: unpack,
};

/** Shape of input 0 whatever kind of value it is. */
function shapeOf(node: FlatNode, out: TfBuilder): Shape | null {
  const value = out.input(node, 0);
  if (value.kind === 'node') return value.node.type.shape;
  if (value.kind === 'cut') return null;
  return value.kind === 'oneHot' ? [...value.indices.type.shape, value.depth] : value.shape;
}

function shape(node: FlatNode, out: TfBuilder): Value | null {
  const dims = shapeOf(node, out);
  return dims && integers(dims, [dims.length], dtypeAttribute(node, 'out_type') === 'i64' ? 'i64' : 'i32');
}

/** Reshapes input 0 to a shape that depends on its own. */
export function reshapeBy(node: FlatNode, out: TfBuilder, target: (shape: Shape) => Shape | null): Value | null {
  const value = out.input(node, 0);
  const from = shapeOf(node, out);
  const to = from && target(from);
  if (to === null) return null;
  if (value.kind === 'range') return { ...value, shape: to };
  const x = out.tensor(node, 0);
  return x && out.add(node, 'reshape', [x], { shape: to });
}

function targetShape(from: Shape, target: readonly Dim[] | null): Shape | null {
  return target && reshapeTarget(from, target);
}

function expandedShape(from: Shape, axis: number | null): Shape | null {
  const at = axis === null ? null : axisOf(axis, from.length + 1);
  return at === null ? null : from.toSpliced(at, 0, 1);
}

/** A shape without some sizes of 1; without axes all of them go. */
function squeezedShape(from: Shape, axes: readonly number[]): Shape | null {
  const chosen = axes.map((axis) => axisOf(axis, from.length));
  if (chosen.some((axis) => axis === null || from[axis] !== 1)) return null;
  return from.filter((dim, i) => (axes.length === 0 ? dim !== 1 : !chosen.includes(i)));
}

function transpose(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  const permutation = out.integers(node, 1);
  return x && permutation && out.add(node, 'transpose', [x], { permutation });
}

function concat(node: FlatNode, out: TfBuilder): Value | null {
  const axis = out.integer(node, node.inputs.length - 1);
  const parts = out.tensors(node, 0, node.inputs.length - 1);
  return parts === null || axis === null ? null : out.add(node, 'concat', parts, { axis });
}

/** Concatenates along a new axis. */
function pack(node: FlatNode, out: TfBuilder): Value | null {
  const parts = out.tensors(node);
  const axis = axisOf(node.attributes.int('axis'), (parts?.[0]?.type.shape.length ?? 0) + 1);
  if (parts === null || axis === null) return null;
  const rows = parts.map((part, i) => {
    return out.step(node, `part_${i}`, 'reshape', [part], { shape: part.type.shape.toSpliced(axis, 0, 1) });
  });
  return out.add(node, 'concat', rows, { axis });
}

/** Most parts of a split, of which more have no use: heads and gates are split into a few. */
const MAX_PARTS = 1024;

function unpack(node: FlatNode, out: TfBuilder): readonly Value[] | null {
  const x = out.tensor(node, 0);
  const axis = x && axisOf(node.attributes.int('axis'), x.type.shape.length);
  const count = node.attributes.int('num');
  if (x === null || axis === null || count > MAX_PARTS) return null;
  const values: Value[] = [];
  for (let i = 0; i < count; i++) {
    const row = out.step(node, `slice_${i}`, 'slice', [x], { axis, start: i, end: i + 1 });
    values.push({
      kind: 'node',
      node: out.step(node, String(i), 'reshape', [row], { shape: x.type.shape.toSpliced(axis, 1) }),
    });
  }
  return values;
}

function split(node: FlatNode, out: TfBuilder): readonly Value[] | null {
  const axis = out.integer(node, 0);
  const count = node.attributes.int('num_split');
  const x = out.tensor(node, 1);
  const along = x && axis !== null ? axisOf(axis, x.type.shape.length) : null;
  const size = along === null ? undefined : x?.type.shape[along];
  if (x === null || along === null || typeof size !== 'number' || count < 1 || count > MAX_PARTS || size % count !== 0)
    return null;
  return cut(node, out, { x, axis: along, sizes: new Array<number>(count).fill(size / count) });
}

function splitBySizes(node: FlatNode, out: TfBuilder): readonly Value[] | null {
  const x = out.tensor(node, 0);
  const sizes = out.integers(node, 1);
  const axis = out.integer(node, 2);
  const along = x && axis !== null ? axisOf(axis, x.type.shape.length) : null;
  const total = along === null ? undefined : x?.type.shape[along];
  if (x === null || along === null || sizes === null || sizes.length > MAX_PARTS || typeof total !== 'number')
    return null;
  const stated = sizes.reduce((sum, size) => sum + Math.max(size, 0), 0);
  return cut(node, out, { x, axis: along, sizes: sizes.map((size) => (size === -1 ? total - stated : size)) });
}

function cut(
  node: FlatNode,
  out: TfBuilder,
  { x, axis, sizes }: { x: Node; axis: number; sizes: readonly number[] },
): readonly Value[] {
  let start = 0;
  return sizes.map((size, i) => {
    const part = out.step(node, String(i), 'slice', [x], { axis, start, end: start + size });
    start += size;
    return { kind: 'node', node: part };
  });
}

function slice(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  const begin = out.integers(node, 1);
  const size = out.dims(node, 2);
  if (x === null || begin === null || size === null || begin.length !== x.type.shape.length) return null;
  const strides = begin.map(() => 1);
  const end = begin.map((start, i) => {
    const length = size[i] as Dim;
    if (length === -1) return x.type.shape[i] as Dim;
    return typeof length === 'number' ? start + length : length;
  });
  const masks = { begin: 0, end: 0, ellipsis: 0, newAxis: 0, shrink: 0 };
  const plan = planStridedSlice(x.type.shape, { begin, end, strides, masks });
  return plan && applyPlan(node, out, x, plan);
}

function planOf(node: FlatNode, out: TfBuilder, x: Node): SlicePlan | null {
  const [begin, end, strides] = [out.dims(node, 1), out.dims(node, 2), out.dims(node, 3)];
  if (begin === null || end === null || strides === null) return null;
  return planStridedSlice(x.type.shape, { begin, end, strides, masks: masksOf(node) });
}

function stridedSlice(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  if (x === null) return null;
  const plan = planOf(node, out, x);
  return plan === null ? openCut(node, out, x) : applyPlan(node, out, x, plan);
}

/** Adds the steps of a plan, the last under the node's name; a plan without steps is x itself. */
function applyPlan(node: FlatNode, out: TfBuilder, x: Node, { cuts, shape: target }: SlicePlan): Value {
  const cutShape = cuts.reduce<Shape>(
    (from, { axis, start, end }) => from.with(axis, typeof end === 'number' ? end - start : end),
    x.type.shape,
  );
  const isShaped = sameShape(cutShape, target);
  let last = x;
  cuts.forEach(({ axis, start, end }, i) => {
    const isLast = isShaped && i === cuts.length - 1;
    last = out.graph.add('slice', [last], { axis, start, end }, isLast ? node.name : `${node.name}/axis_${axis}`);
  });
  return isShaped ? { kind: 'node', node: last } : out.add(node, 'reshape', [last], { shape: target });
}

/** Reads x[1:] and x[:-1] along an axis of run-time length, which no slice of ours can say. */
function openCut(node: FlatNode, out: TfBuilder, x: Node): Value | null {
  const [begin, end, strides] = [out.integers(node, 1), out.integers(node, 2), out.integers(node, 3)];
  const masks = masksOf(node);
  if (begin === null || end === null || strides === null || masks.ellipsis + masks.newAxis + masks.shrink > 0)
    return null;
  const front = begin.map((start, i) => (masks.begin & (1 << i) ? 0 : start));
  const back = end.map((stop, i) => (masks.end & (1 << i) ? 0 : -stop));
  const axis = front.findIndex((count, i) => count !== 0 || back[i] !== 0);
  const isOne = [...front, ...back].filter((count) => count !== 0).length === 1;
  if (!isOne || strides.some((stride) => stride !== 1) || begin.length > x.type.shape.length) return null;
  const [dropped, cutOff] = [front[axis] as number, back[axis] as number];
  return dropped < 0 || cutOff < 0 ? null : { kind: 'cut', x, axis, front: dropped, back: cutOff };
}

/** Reads a shift as trigrams have it: dropped at the front and padded at the end x moves ahead, else back. */
function shifted(
  node: FlatNode,
  out: TfBuilder,
  { before, after }: { before: readonly number[]; after: readonly number[] },
): Value | null {
  const value = out.input(node, 0);
  if (value.kind !== 'cut' || before.length !== value.x.type.shape.length) return null;
  const { x, axis, front, back } = value;
  const isRestored = before.every(
    (count, i) => count === (i === axis ? back : 0) && after[i] === (i === axis ? front : 0),
  );
  return isRestored ? out.add(node, 'shift', [x], { axis, offset: front - back }) : null;
}

function pad(node: FlatNode, out: TfBuilder): Value | null {
  const counts = out.integers(node, 1);
  if (counts === null) return null;
  const before = counts.filter((_, i) => i % 2 === 0);
  const after = counts.filter((_, i) => i % 2 === 1);
  const x = out.tensor(node, 0);
  return x === null ? shifted(node, out, { before, after }) : out.add(node, 'pad', [x], { before, after });
}

function fill(node: FlatNode, out: TfBuilder): Value | null {
  const target = out.dims(node, 0);
  const value = out.tensor(node, 1);
  return target && value && out.add(node, 'expand', [value], { shape: target });
}

/** Reads a range from 0 to a size of the run; known ones are arithmetic on integers. */
function range(node: FlatNode, out: TfBuilder): Value | null {
  const limit = out.dims(node, 1)?.[0];
  const isCount = out.integer(node, 0) === 0 && out.integer(node, 2) === 1;
  if (!isCount || limit === undefined || isStatic([limit])) return null;
  return { kind: 'range', dtype: dtypeAttribute(node, 'Tidx') === 'i64' ? 'i64' : 'i32', shape: [limit] };
}
