import type { Node } from '../../ir/graph.ts';
import { computedType } from '../../ir/op.ts';
import type { Comparison } from '../../ir/ops/compare.ts';
import { axisOf } from '../../ir/shape.ts';
import { convertTensor, scalarTensor } from '../../ir/tensor.ts';
import { dtypeAttribute, type TfBuilder, type Value } from './builder.ts';
import type { FlatNode } from './inline.ts';
import type { Lowering } from './shapes.ts';

/** Lowerings of ops that compute element by element, and of reductions. */
export const elementwiseLowerings: { readonly [op: string]: Lowering } = {
  Abs: (node, out) => {
    const x = out.tensor(node, 0);
    return x && out.add(node, 'maximum', [x, negated(node, out, x)]);
  },
  Add: binary('add'),
  AddN: addAll,
  AddV2: binary('add'),
  BiasAdd: (node, out) => (node.attributes.text('data_format') === 'NCHW' ? null : binary('add')(node, out)),
  Cast: cast,
  Ceil: unary('ceil'),
  Cos: unary('cos'),
  Cumsum: cumulativeSum,
  Div: binary('div'),
  Equal: compare('equal'),
  Erf: unary('erf'),
  Greater: compare('greater'),
  GreaterEqual: compare('greaterOrEqual'),
  IsNan: unary('isNan'),
  Less: compare('less'),
  LessEqual: compare('lessOrEqual'),
  Log: unary('log'),
  LogicalAnd: binary('and'),
  LogicalNot: unary('not'),
  LogicalOr: binary('or'),
  Max: reduction('max'),
  Maximum: binary('maximum'),
  Mean: reduction('mean'),
  Minimum: binary('minimum'),
  Mul: binary('mul'),
  Neg: (node, out) => {
    const x = out.tensor(node, 0);
    return x && out.add(node, 'mul', [x, minusOne(node, out, x)]);
  },
  NotEqual: (node, out) => {
    const inputs = out.tensors(node);
    return inputs && out.add(node, 'not', [out.step(node, 'equal', 'compare', inputs, { test: 'equal' })]);
  },
  Pow: power,
  RealDiv: binary('div'),
  Relu: unary('relu'),
  Rsqrt: unary('rsqrt'),
  SelectV2: (node, out) => {
    const inputs = out.tensors(node);
    return inputs && out.add(node, 'where', inputs);
  },
  Sigmoid: unary('sigmoid'),
  Sin: unary('sin'),
  Softmax: unary('softmax'),
  Sqrt: unary('sqrt'),
  Square: (node, out) => squared(node, out, out.tensor(node, 0)),
  SquaredDifference: (node, out) => {
    const inputs = out.tensors(node);
    return inputs && squared(node, out, out.step(node, 'difference', 'sub', inputs));
  },
  Sub: binary('sub'),
  Sum: reduction('sum'),
  Tanh: unary('tanh'),
};

function minusOne(node: FlatNode, out: TfBuilder, { type: { dtype } }: Node): Node {
  return out.graph.constant(convertTensor(scalarTensor(-1), computedType(dtype)), `${node.name}/minus_one`);
}

function negated(node: FlatNode, out: TfBuilder, x: Node): Node {
  return out.step(node, 'negated', 'mul', [x, minusOne(node, out, x)]);
}

function unary(
  op:
    | 'ceil'
    | 'cos'
    | 'erf'
    | 'isNan'
    | 'log'
    | 'not'
    | 'relu'
    | 'rsqrt'
    | 'sigmoid'
    | 'sin'
    | 'softmax'
    | 'sqrt'
    | 'tanh',
): Lowering {
  return (node, out) => {
    const x = out.tensor(node, 0);
    return x && out.add(node, op, [x]);
  };
}

function binary(op: 'add' | 'and' | 'div' | 'maximum' | 'minimum' | 'mul' | 'or' | 'sub'): Lowering {
  return (node, out) => {
    const inputs = out.tensors(node);
    return inputs && out.add(node, op, inputs);
  };
}

function compare(test: Comparison): Lowering {
  return (node, out) => {
    const inputs = out.tensors(node);
    return inputs && out.add(node, 'compare', inputs, { test });
  };
}

/** The square x∘x. */
function squared(node: FlatNode, out: TfBuilder, x: Node | null): Value | null {
  return x && out.add(node, 'mul', [x, x]);
}

/** Lowers Cumsum. The exclusive form, the sum of all that comes before an element, is the sum up to it less itself. */
export function cumulativeSum(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  const [axis, ...others] = out.integers(node, 1) ?? [];
  if (x === null || axis === undefined || others.length > 0 || node.attributes.bool('reverse')) return null;
  if (!node.attributes.bool('exclusive')) return out.add(node, 'cumulativeSum', [x], { axis });
  return out.add(node, 'sub', [out.step(node, 'inclusive', 'cumulativeSum', [x], { axis }), x]);
}

function addAll(node: FlatNode, out: TfBuilder): Value | null {
  const [first, ...rest] = out.tensors(node) ?? [];
  const last = rest.pop();
  if (first === undefined) return null;
  if (last === undefined) return { kind: 'node', node: first };
  const sum = rest.reduce((total, part, i) => out.step(node, `sum_${i}`, 'add', [total, part]), first);
  return out.add(node, 'add', [sum, last]);
}

export function cast(node: FlatNode, out: TfBuilder): Value | null {
  const to = dtypeAttribute(node, 'DstT');
  const value = out.input(node, 0);
  if (value.kind === 'range' && (to === 'i32' || to === 'i64')) return { ...value, dtype: to };
  const x = out.tensor(node, 0);
  return x && to && out.add(node, 'cast', [x], { to });
}

/** Lowers a reduction to one over one axis after the other, from the last: the earlier ones keep their places. */
function reduction(op: 'max' | 'mean' | 'sum'): Lowering {
  return (node, out) => {
    const x = out.tensor(node, 0);
    const rank = x?.type.shape.length ?? 0;
    const axes = out.integers(node, 1)?.map((axis) => axisOf(axis, rank));
    const sorted = axes?.filter((axis) => axis !== null).sort((a, b) => b - a) ?? [];
    const last = sorted.pop();
    if (x === null || last === undefined || sorted.length + 1 !== axes?.length) return null;
    const keepDims = node.attributes.bool('keep_dims');
    const partial = sorted.reduce(
      (rest: Node, axis) => out.step(node, `axis_${axis}`, op, [rest], { axis, keepDims }),
      x,
    );
    return out.add(node, op, [partial], { axis: last, keepDims });
  };
}

/** Squares and cubes as products; the tanh form of GELU is written with them. */
function power(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  const exponent = out.scalar(node, 1);
  if (x === null || (exponent !== 2 && exponent !== 3)) return null;
  return exponent === 2 ? squared(node, out, x) : out.add(node, 'mul', [out.step(node, 'square', 'mul', [x, x]), x]);
}
