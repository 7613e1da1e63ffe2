import { lookUp } from '../../io/look-up.ts';
import type { Constant, Node } from '../../ir/graph.ts';
import { broadcast, product } from '../../ir/shape.ts';
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
  const b = out.tensor(node, 1);
  if (b === null) return null;
  const transposeB = attributes.bool('transpose_b');
  const row = transposeB ? null : lookedUp({ ...node, name }, out, b, attributes.bool('transpose_a'));
  if (row) return { kind: 'node', node: row };
  const a = operand(node, out, 0, attributes.bool('transpose_a'));
  if (a === null) return null;
  if (b.op === 'constant' && b.type.quant === undefined && b.type.shape.length === 2) {
    return { kind: 'node', node: out.graph.add('linear', [a, transposeB ? b : out.turned(b)], {}, name) };
  }
  return { kind: 'node', node: out.graph.add('matmul', [a, b], { transposeB }, name) };
}

/** A row of zeros and one 1 picks a row of the table. */
function lookedUp(node: FlatNode, out: TfBuilder, table: Node, isTurned: boolean): Node | null {
  const looked = out.input(node, 0);
  if (looked.kind !== 'oneHot' || isTurned) return null;
  return out.graph.add('gather', [table, looked.indices], { axis: 0 }, node.name);
}

/** Product on the last two axes; the others broadcast. With one matrix for all it is a linear. */
function batchMatmul(node: FlatNode, out: TfBuilder): Value | null {
  const { attributes } = node;
  const transposeB = attributes.bool('adj_y');
  const b = out.tensor(node, 1);
  const row = b?.type.shape.length === 2 && !transposeB ? lookedUp(node, out, b, attributes.bool('adj_x')) : null;
  if (row) return { kind: 'node', node: row };
  const a = operand(node, out, 0, attributes.bool('adj_x'));
  if (a === null || b === null) return null;
  const isMatrix = b.op === 'constant' && b.type.quant === undefined && b.type.shape.length === 2;
  if (isMatrix && a.type.shape.length > 2)
    return out.add(node, 'linear', [a, transposeB ? (b as Constant) : out.turned(b as Constant)]);
  if (broadcast(a.type.shape.slice(0, -2), b.type.shape.slice(0, -2)) === null) return null;
  const rank = Math.max(a.type.shape.length, b.type.shape.length);
  const operands = [ofRank(node, out, a, rank), ofRank(node, out, b, rank)];
  return out.add(node, 'matmul', operands, { transposeB });
}

/** An operand with axes of size 1 in front, so that both have as many. */
function ofRank(node: FlatNode, out: TfBuilder, x: Node, rank: number): Node {
  const { shape } = x.type;
  if (shape.length === rank) return x;
  const ones: readonly number[] = new Array<number>(rank - shape.length).fill(1);
  return out.step(node, `${x.name}_as_matrices`, 'reshape', [x], { shape: [...ones, ...shape] });
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
  const then = activation === undefined ? undefined : lookUp(ACTIVATIONS, activation);
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

/** Reads a OneHot, which as the left side of a product is a look-up. */
function oneHot(node: FlatNode, out: TfBuilder): Value | null {
  const indices = out.tensor(node, 0);
  const depth = out.integer(node, 1);
  // Attributes of the default value may be left out of a file.
  const axis = node.attributes.names.includes('axis') ? node.attributes.int('axis') : -1;
  const isPlain = out.scalar(node, 2) === 1 && out.scalar(node, 3) === 0;
  const isLast = axis === -1 || axis === indices?.type.shape.length;
  return indices && depth !== null && isPlain && isLast ? { kind: 'oneHot', indices, depth } : null;
}
