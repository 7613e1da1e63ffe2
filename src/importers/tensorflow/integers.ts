import { lookUp } from '../../io/look-up.ts';
import { type Dim, isStatic, product, sizeOf } from '../../ir/shape.ts';
import { divideDims } from '../dims.ts';
import { planStridedSlice } from '../strided-slice.ts';
import { dtypeAttribute, type TfBuilder, type Value } from './builder.ts';
import type { FlatNode } from './inline.ts';

/** Integers that are known, in their shape. */
type Integers = Value & { readonly kind: 'integers' };

/** Computes a node whose inputs are all known integers, or says null. */
type Rule = (
  node: FlatNode,
  inputs: readonly Integers[],
) => { readonly shape: readonly number[]; readonly dims: readonly Dim[] } | null;

/** Rules for arithmetic on shapes, as exporters of models with run-time sizes write it, under TensorFlow's or TFLite's names. */
const rules: { readonly [op: string]: Rule } = {
  Add: elementwise(addDims),
  AddV2: elementwise(addDims),
  CAST: (_, [x]) => x ?? null,
  CONCATENATION: (node, inputs) => concatenated(inputs, node.attributes.int('axis')),
  Cast: (_, [x]) => x ?? null,
  ConcatV2: (_, inputs) => concatenated(inputs.slice(0, -1), inputs.at(-1)?.dims[0]),
  ExpandDims: (_, [x, axis]) => (x && axis && x.shape.length === 0 ? { shape: [1], dims: x.dims } : null),
  FloorDiv: elementwise(divideDims),
  GATHER: (node, [x, indices]) => (node.attributes.int('batchDims') === 0 ? gathered(x, indices) : null),
  GatherV2: (_, [x, indices]) => gathered(x, indices),
  Maximum: elementwise((a, b) => (typeof a === 'number' && typeof b === 'number' ? Math.max(a, b) : null)),
  Minimum: elementwise((a, b) => (typeof a === 'number' && typeof b === 'number' ? Math.min(a, b) : null)),
  Mul: elementwise((a, b) => product([a, b])),
  Pack: (node, inputs) => packed(node, inputs),
  Prod: (node, [x, axes]) => reduced(node, x, axes),
  RESHAPE: (_, [x, target]) => reshaped(x, target),
  Range: (_, inputs) => ranged(inputs),
  Reshape: (_, [x, target]) => reshaped(x, target),
  Squeeze: (_, [x]) => (x?.dims.length === 1 ? { shape: [], dims: x.dims } : null),
  StridedSlice: (node, inputs) => sliced(node, inputs),
  Sub: elementwise(subtractDims),
};

/** Computes a node that is arithmetic on known integers; null for any other. */
export function computeIntegers(node: FlatNode, out: TfBuilder): Value | null {
  const rule = lookUp(rules, node.op);
  if (rule === undefined || node.inputs.length === 0) return null;
  const inputs: Integers[] = [];
  for (const input of node.inputs) {
    const value = out.value(input);
    if (value.kind !== 'integers') return null;
    inputs.push(value);
  }
  const dtype = /^cast$/i.test(node.op) ? dtypeAttribute(node, 'DstT') : inputs[0]?.dtype;
  if (dtype !== 'i32' && dtype !== 'i64') return null;
  const result = rule(node, inputs);
  return result && { kind: 'integers', dtype, ...result };
}

function addDims(a: Dim, b: Dim): Dim | null {
  if (a === 0 || b === 0) return a === 0 ? b : a;
  return typeof a === 'number' && typeof b === 'number' ? a + b : null;
}

function subtractDims(a: Dim, b: Dim): Dim | null {
  if (b === 0) return a;
  return typeof a === 'number' && typeof b === 'number' ? a - b : null;
}

/** Computes on two equal shapes, or one and a single number. Negative numbers stay numbers: they count from the end. */
function elementwise(compute: (a: Dim, b: Dim) => Dim | null): Rule {
  return (_, [a, b]) => {
    if (a === undefined || b === undefined) return null;
    const wide = a.dims.length >= b.dims.length ? a : b;
    if (a.dims.length !== b.dims.length && Math.min(a.dims.length, b.dims.length) !== 1) return null;
    const dims: Dim[] = [];
    for (let i = 0; i < wide.dims.length; i++) {
      const x = a.dims[a.dims.length === 1 ? 0 : i] as Dim;
      const y = b.dims[b.dims.length === 1 ? 0 : i] as Dim;
      const isNegative = (typeof x === 'number' && x < 0) || (typeof y === 'number' && y < 0);
      const dim = isNegative && !(typeof x === 'number' && typeof y === 'number') ? null : compute(x, y);
      if (dim === null) return null;
      dims.push(dim);
    }
    return { shape: wide.shape, dims };
  };
}

function concatenated(parts: readonly Integers[], axis: Dim | undefined) {
  const isFlat = parts.every(({ shape }) => shape.length === 1) && (axis === 0 || axis === -1);
  const dims = parts.flatMap((part) => part.dims);
  return isFlat ? { shape: [dims.length], dims } : null;
}

function gathered(x: Integers | undefined, indices: Integers | undefined) {
  if (x?.shape.length !== 1 || indices === undefined) return null;
  const dims = indices.dims.map((index) => (typeof index === 'number' ? x.dims.at(index) : undefined));
  return dims.every((dim) => dim !== undefined) ? { shape: indices.shape, dims } : null;
}

function packed(node: FlatNode, inputs: readonly Integers[]) {
  const isScalars = inputs.every(({ shape }) => shape.length === 0) && node.attributes.int('axis') === 0;
  return isScalars ? { shape: [inputs.length], dims: inputs.map(({ dims }) => dims[0] as Dim) } : null;
}

function reduced(node: FlatNode, x: Integers | undefined, axes: Integers | undefined) {
  const isWhole = x !== undefined && x.shape.length <= 1 && (axes?.dims.length ?? 0) === x.shape.length;
  if (!isWhole) return null;
  return { shape: node.attributes.bool('keep_dims') ? x.shape.map(() => 1) : [], dims: [product(x.dims)] };
}

/** Longest range, which is data as much as arithmetic: long ones are for position embeddings. */
const MAX_RANGE = 65_536;

function ranged([start, limit, delta]: readonly Integers[]) {
  const [from, to, step] = [start?.dims[0], limit?.dims[0], delta?.dims[0]];
  if (typeof from !== 'number' || typeof to !== 'number' || typeof step !== 'number' || step === 0) return null;
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (count > MAX_RANGE) return null;
  return { shape: [count], dims: Array.from({ length: count }, (_, i) => from + i * step) };
}

function reshaped(x: Integers | undefined, target: Integers | undefined) {
  if (x === undefined || target === undefined || !isStatic(target.dims)) return null;
  const stated = sizeOf(target.dims.filter((dim) => dim !== -1));
  const shape = target.dims.map((dim) => (dim === -1 ? x.dims.length / stated : dim));
  return sizeOf(shape) === x.dims.length ? { shape, dims: x.dims } : null;
}

/** Slices a list: `shape[1:2]`, `shape[0]`. */
function sliced(node: FlatNode, [x, begin, end, strides]: readonly Integers[]) {
  if (x?.shape.length !== 1 || begin === undefined || end === undefined || strides === undefined) return null;
  const plan = planStridedSlice(x.shape, {
    begin: begin.dims,
    end: end.dims,
    strides: strides.dims,
    masks: masksOf(node),
  });
  if (plan === null || !isStatic(plan.shape)) return null;
  let dims = x.dims;
  for (const cut of plan.cuts) dims = dims.slice(cut.start, cut.end as number);
  return sizeOf(plan.shape) === dims.length ? { shape: plan.shape, dims } : null;
}

export function masksOf({ attributes }: FlatNode) {
  return {
    begin: attributes.int('begin_mask'),
    end: attributes.int('end_mask'),
    ellipsis: attributes.int('ellipsis_mask'),
    newAxis: attributes.int('new_axis_mask'),
    shrink: attributes.int('shrink_axis_mask'),
  };
}
