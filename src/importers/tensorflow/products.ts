import type { Node } from '../../ir/graph.ts';
import { product } from '../../ir/shape.ts';
import type { TfBuilder, Value } from './builder.ts';
import type { FlatNode } from './inline.ts';
import type { Lowering } from './shapes.ts';

/** Lowerings of matrix products and look-ups. */
export const productLowerings: { readonly [op: string]: Lowering } = {
  BatchMatMul: batchMatmul,
  BatchMatMulV2: batchMatmul,
  GatherV2: (node, out) => gather(node, out, node.attributes.int('batch_dims') === 0 ? out.integer(node, 2) : null),
  MatMul: (node, out) => matmul(node, out, node.name),
  OneHot: oneHot,
  ResourceGather: (node, out) => gather(node, out, node.attributes.int('batch_dims') === 0 ? 0 : null),
  _FusedMatMul: fusedMatmul,
};

/** Product x · W of two matrices: a linear where W is a constant, whose rows are then the outputs. */
function matmul(node: FlatNode, out: TfBuilder, name: string): Value | null {
  const { attributes } = node;
  const looked = out.input(node, 0);
  const b = out.tensor(node, 1);
  if (b === null) return null;
  const transposeB = attributes.bool('transpose_b');
  // A row of zeros and one 1 picks a row of the table.
  if (looked.kind === 'oneHot' && !transposeB && !attributes.bool('transpose_a')) {
    return { kind: 'node', node: out.graph.add('gather', [b, looked.indices], { axis: 0 }, name) };
  }
  const a = operand(node, out, 0, attributes.bool('transpose_a'));
  if (a === null) return null;
  if (b.op === 'constant' && b.type.quant === undefined && b.type.shape.length === 2) {
    return { kind: 'node', node: out.graph.add('linear', [a, transposeB ? b : out.turned(b)], {}, name) };
  }
  return { kind: 'node', node: out.graph.add('matmul', [a, b], { transposeB }, name) };
}

function batchMatmul(node: FlatNode, out: TfBuilder): Value | null {
  const { attributes } = node;
  const a = operand(node, out, 0, attributes.bool('adj_x'));
  const b = out.tensor(node, 1);
  return a && b && out.add(node, 'matmul', [a, b], { transposeB: attributes.bool('adj_y') });
}

/** A left operand, turned where the node asks for that. */
function operand(node: FlatNode, out: TfBuilder, i: number, isTurned: boolean): Node | null {
  const x = out.tensor(node, i);
  const rank = x?.type.shape.length ?? 0;
  if (x === null || !isTurned || rank < 2) return x;
  const permutation = Array.from({ length: rank }, (_, axis) => axis);
  [permutation[rank - 2], permutation[rank - 1]] = [rank - 1, rank - 2];
  return out.step(node, `turned_${i}`, 'transpose', [x], { permutation });
}

const ACTIVATIONS: { readonly [op: string]: 'relu' | 'sigmoid' | 'tanh' } = {
  Relu: 'relu',
  Sigmoid: 'sigmoid',
  Tanh: 'tanh',
};

/** Lowers what TensorFlow's optimizer makes of MatMul, BiasAdd and an activation. */
function fusedMatmul(node: FlatNode, out: TfBuilder): Value | null {
  const [bias, activation, ...rest] = node.attributes.texts('fused_ops');
  const b = out.tensor(node, 2);
  const then = activation === undefined ? undefined : ACTIVATIONS[activation];
  if (bias !== 'BiasAdd' || b === null || rest.length > 0 || (activation !== undefined && then === undefined))
    return null;
  const product = matmul(node, out, `${node.name}/product`);
  if (product?.kind !== 'node') return null;
  if (then === undefined) return out.add(node, 'add', [product.node, b]);
  return out.add(node, then, [out.step(node, 'sum', 'add', [product.node, b])]);
}

/** Inputs of a look-up. */
const TABLE_FIRST = { table: 0, indices: 1 };

/** Looks rows of a table up along an axis; null where that is null. */
export function gather(node: FlatNode, out: TfBuilder, axis: number | null, inputs = TABLE_FIRST): Value | null {
  const x = out.tensor(node, inputs.table);
  const indices = out.input(node, inputs.indices);
  if (x === null || axis === null) return null;
  if (indices.kind === 'range' && axis === 0) {
    // Rows 0, 1, … of a position table.
    const rows = out.step(node, 'rows', 'slice', [x], { axis, start: 0, end: product(indices.shape) });
    return out.add(node, 'reshape', [rows], { shape: [...indices.shape, ...x.type.shape.slice(1)] });
  }
  const at = out.tensor(node, inputs.indices);
  return at && out.add(node, 'gather', [x, at], { axis });
}

/** Reads a OneHot, of use only as the left side of a product, which is a look-up. */
function oneHot(node: FlatNode, out: TfBuilder): Value | null {
  const indices = out.tensor(node, 0);
  const depth = out.integer(node, 1);
  const axis = node.attributes.int('axis');
  const isPlain = out.scalar(node, 2) === 1 && out.scalar(node, 3) === 0;
  const isLast = axis === -1 || axis === indices?.type.shape.length;
  return indices && depth !== null && isPlain && isLast ? { kind: 'oneHot', indices, depth } : null;
}
