import { sizeOf } from '../../ir/shape.ts';
import { computedTensor, readF32, scalarTensor, type Tensor } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible, sameSizes } from './context.ts';
import { expanded } from './elementwise.ts';
import { floatOf, inputOf, intOf, knownShape, type OperatorReader } from './operation.ts';
import { reshaped, turnedTensor } from './shapes.ts';
import { numberOf, ONE, type Size } from './sizes.ts';
import type { TensorValue, Value } from './values.ts';

/**
 * Reads MatMul: x W with a constant matrix is a linear, whose weight lies the other way round; others stay products.
 */
export const matMul: OperatorReader = (operation) =>
  product(operation.to, inputOf(operation, 0), inputOf(operation, 1), operation.name);

/** Product a b on the last two axes; the others broadcast. */
export function product(to: GraphImport, a: Value, b: Value, name: string): Value {
  const [left, right] = [knownShape(a), knownShape(b)];
  if (left.length < 1 || right.length < 2) notExpressible('a product with a vector');
  to.equate(left.at(-1) as Size, right.at(-2) as Size);
  if (b.kind === 'tensor' && right.length === 2 && a.kind !== 'tensor') {
    return to.emit('linear', [a, turnedTensor(b)], {}, name);
  }
  if (left.length < 2) notExpressible('a product with a vector');
  const lead = to.joinShapes(left.slice(0, -2), right.slice(0, -2));
  return to.emit('matmul', [spread(to, a, lead, `${name}/a`), spread(to, b, lead, `${name}/b`)], {}, name);
}

/** An operand with the leading axes that both have in the end. */
function spread(to: GraphImport, x: Value, lead: readonly Size[], name: string): Value {
  const shape = knownShape(x);
  const missing = new Array<Size>(lead.length + 2 - shape.length).fill(ONE);
  const ranked = reshaped(to, x, [...missing, ...shape], name);
  const target = [...lead, ...shape.slice(-2)];
  // A constant for all of them is repeated by the product.
  return x.kind === 'tensor' || sameSizes(knownShape(ranked), target) ? ranked : expanded(to, ranked, target);
}

/** Reads Gemm, alpha A B + beta C, with A and B turned where their attributes say so. */
export const gemm: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const [alpha, beta] = [floatOf(operation, 'alpha', 1), floatOf(operation, 'beta', 1)];
  const turnsA = intOf(operation, 'transA', 0) !== 0;
  const turnsB = intOf(operation, 'transB', 0) !== 0;
  const a = turnsA ? turned(to, inputOf(operation, 0), `${name}/a`) : inputOf(operation, 0);
  const b = inputOf(operation, 1);
  const addend = beta === 0 ? undefined : inputs[2];
  const c = addend && scaled(to, addend, beta, `${name}/c`);
  to.equate(knownShape(a).at(-1) as Size, knownShape(b).at(turnsB ? 1 : 0) as Size);
  const parts = addend ? { product: `${name}/product`, sum: name } : { product: name, sum: name };
  if (b.kind !== 'tensor' || a.kind === 'tensor') {
    const result = to.emit('matmul', [a, b], { transposeB: turnsB }, parts.product);
    const whole = scaled(to, result, alpha, `${name}/scaled`);
    return c ? to.elementwise('add', [whole, c], {}, parts.sum) : whole;
  }
  const weight = scaledTensor(turnsB ? b : turnedTensor(b), alpha);
  const bias = c && biasOf(c, knownShape(b)[turnsB ? 0 : 1] as Size);
  if (!c || bias) return to.emit('linear', bias ? [a, weight, bias] : [a, weight], {}, name);
  return to.elementwise('add', [to.emit('linear', [a, weight], {}, parts.product), c], {}, parts.sum);
};

function turned(to: GraphImport, x: Value, name: string): Value {
  return x.kind === 'tensor' ? turnedTensor(x) : to.emit('transpose', [x], { permutation: [1, 0] }, name);
}

/** A value times a number. */
export function scaled(to: GraphImport, x: Value, factor: number, name: string): Value {
  if (factor === 1) return x;
  if (x.kind === 'tensor') return scaledTensor(x, factor);
  return to.elementwise('mul', [x, { kind: 'tensor', tensor: scalarTensor(factor), name: `${name}/factor` }], {}, name);
}

function scaledTensor(x: TensorValue, factor: number): TensorValue {
  if (factor === 1) return x;
  if (x.quant) notExpressible('a scaled quantized weight');
  const tensor: Tensor = computedTensor('f32', x.tensor.shape, () => readF32(x.tensor).map((value) => value * factor));
  return { kind: 'tensor', tensor, name: x.name };
}

/** Gemm's C as a bias [out], where it is a constant that has one number for each output. */
export function biasOf(c: Value, out: Size): TensorValue | null {
  if (c.kind !== 'tensor' || c.quant) return null;
  const width = numberOf(out);
  const { shape } = c.tensor;
  if (width === null || shape.at(-1) !== width || sizeOf(shape) !== width) return null;
  return { ...c, tensor: { ...c.tensor, shape: [width] } };
}
