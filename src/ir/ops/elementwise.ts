import { computedType, defineOp, invalid, isFloat, type OpDef } from '../op.ts';
import { broadcast, type Shape, shapeText, sizeOf } from '../shape.ts';
import { convertTensor, type DType, readF32, readIntegers, type Tensor, tensorOf, toBigInt } from '../tensor.ts';

/** The result of an evaluation as a tensor of the op's output type; values are computed in f64 or f32. */
export function resultTensor(dtype: DType, shape: readonly number[], values: Float32Array | Float64Array): Tensor {
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  if (isFloat(dtype)) return tensorOf('f32', shape, floats);
  if (dtype === 'i64') return tensorOf('i64', shape, BigInt64Array.from(values, toBigInt));
  return convertTensor(tensorOf('f64', shape, Float64Array.from(values)), dtype);
}

/** The elements as numbers: integers exactly, floats as f32. */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  return isFloat(tensor.dtype) ? readF32(tensor) : readIntegers(tensor);
}

/**
 * Indices into a tensor of shape `from`, one for each element of the `shape` that it broadcasts to; null where both
 * have the same number of elements.
 */
export function broadcastIndices(from: readonly number[], shape: readonly number[]): Int32Array | null {
  if (sizeOf(from) === sizeOf(shape)) return null;
  const strides = new Array<number>(shape.length).fill(0);
  let stride = 1;
  for (let i = from.length - 1; i >= 0; i--) {
    const dim = from[i] as number;
    if (dim !== 1) strides[shape.length - from.length + i] = stride;
    stride *= dim;
  }
  const indices = new Int32Array(sizeOf(shape));
  const position = new Array<number>(shape.length).fill(0);
  let at = 0;
  for (let i = 0; i < indices.length; i++) {
    indices[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis] as number;
      const next = (position[axis] as number) + 1;
      if (next < (shape[axis] as number)) {
        position[axis] = next;
        break;
      }
      at -= next * (strides[axis] as number);
      position[axis] = 0;
    }
  }
  return indices;
}

/** The shape that two operands broadcast to; throws INVALID_GRAPH where they do not. */
export function pairShape(name: string, a: Shape, b: Shape): Shape {
  return broadcast(a, b) ?? invalid(`${name} cannot broadcast ${shapeText(a)} with ${shapeText(b)}`);
}

/** Fills `values` with what is computed of each pair of elements, of operands that broadcast to `shape`. */
export function computePairs(
  a: Tensor,
  b: Tensor,
  shape: readonly number[],
  values: Float64Array | Uint8Array,
  compute: (a: number, b: number) => number,
): void {
  const x = numbersOf(a);
  const y = numbersOf(b);
  const xAt = broadcastIndices(a.shape, shape);
  const yAt = broadcastIndices(b.shape, shape);
  for (let i = 0; i < values.length; i++) {
    values[i] = compute(x[xAt ? (xAt[i] as number) : i] as number, y[yAt ? (yAt[i] as number) : i] as number);
  }
}

/** Facts in which elementwise ops differ, besides what they compute. */
type Facts = Pick<OpDef, 'stream' | 'int8' | 'cost'>;

/** A binary op that broadcasts as numpy does. */
export function binaryOp(
  name: string,
  facts: Facts & { readonly commutative: boolean },
  compute: (a: number, b: number) => number,
): OpDef<readonly ['a', 'b'], { readonly [name: string]: never }> {
  return defineOp({
    inputs: ['a', 'b'] as const,
    attrs: {} as { readonly [name: string]: never },
    tokens: 'elementwise',
    ...facts,
    infer({ a, b }) {
      const shape = pairShape(name, a.shape, b.shape);
      const dtype = computedType(a.dtype);
      if (dtype !== computedType(b.dtype)) invalid(`${name} of ${a.dtype} and ${b.dtype}`);
      return { dtype, shape };
    },
    evaluate({ a, b }) {
      const shape = broadcast(a.shape, b.shape) as readonly number[];
      const values = new Float64Array(sizeOf(shape));
      computePairs(a, b, shape, values, compute);
      return resultTensor(computedType(a.dtype), shape, values);
    },
  });
}

/** A unary op on floats. */
export function unaryOp<A extends { readonly [name: string]: boolean }>(
  name: string,
  { attrs, ...facts }: Facts & { readonly attrs: A },
  compute: (x: number, attrs: A) => number,
): OpDef<readonly ['x'], A> {
  return defineOp({
    inputs: ['x'] as const,
    attrs,
    tokens: 'elementwise',
    ...facts,
    infer({ x }) {
      if (!isFloat(x.dtype)) invalid(`${name} of ${x.dtype}, takes floats`);
      return { dtype: 'f32', shape: x.shape };
    },
    evaluate({ x }, nodeAttrs) {
      const source = readF32(x);
      const values = new Float32Array(source.length);
      for (let i = 0; i < values.length; i++) values[i] = compute(source[i] as number, nodeAttrs);
      return tensorOf('f32', x.shape, values);
    },
  });
}
