import { aroundAxis, type Shape, sameShape } from './shape.ts';
import {
  arrayOf,
  computedTensor,
  type DType,
  type Quant,
  readF32,
  type Tensor,
  type TensorType,
  tensorOf,
} from './tensor.ts';

/** The type of the numbers that a value stands for: storage as integers does not change what ops compute. */
export function realType(type: TensorType): TensorType {
  return type.quant === undefined ? type : { dtype: 'f32', shape: type.shape };
}

/** The range of the stored integers by dtype. Weights stay within ±127 so that they can be negated. */
const RANGES: { readonly [D in DType]?: readonly [number, number] } = {
  i4: [-8, 7],
  u4: [0, 15],
  i8: [-128, 127],
  u8: [0, 255],
  i16: [-32768, 32767],
  u16: [0, 65535],
  i32: [-(2 ** 31), 2 ** 31 - 1],
};

export function storedRange(dtype: DType): readonly [number, number] {
  const range = RANGES[dtype];
  if (range === undefined) throw new RangeError(`${dtype} stores no quantized values`);
  return range;
}

/** Scales and zero points, with the index of each element's own among them. */
interface ElementParams {
  readonly scales: ArrayLike<number>;
  readonly zeroPoints: ArrayLike<number> | undefined;
  indexOf(element: number): number;
}

function elementParamsOf(quant: Quant, shape: readonly number[]): ElementParams {
  if (quant.per === 'tensor') return { scales: [quant.scale], zeroPoints: [quant.zeroPoint], indexOf: () => 0 };
  const { inner, length } = aroundAxis(shape, quant.axis);
  const { scales, zeroPoints } = quant;
  if (quant.per === 'channel') return { scales, zeroPoints, indexOf: (i) => Math.floor(i / inner) % length };
  const { size } = quant;
  const blocks = Math.ceil(length / size);
  return {
    scales,
    zeroPoints,
    indexOf(i) {
      const outer = Math.floor(i / (inner * length));
      const block = Math.floor((Math.floor(i / inner) % length) / size);
      return (outer * blocks + block) * inner + (i % inner);
    },
  };
}

/** Computes scale·(stored - zero point) for every element of a stored tensor. */
export function dequantized(stored: Tensor, quant: Quant): Tensor {
  const { scales, zeroPoints, indexOf } = elementParamsOf(quant, stored.shape);
  const raw = stored.dtype === 'i32' ? arrayOf({ ...stored, dtype: 'i32' }) : readF32(stored);
  const values = new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const at = indexOf(i);
    values[i] = ((raw[i] as number) - (zeroPoints?.[at] ?? 0)) * (scales[at] as number);
  }
  return tensorOf('f32', stored.shape, values);
}

/** Stored integers and what they stand for. */
export interface StoredTensor {
  readonly tensor: Tensor;
  readonly quant: Quant;
}

/** The real numbers of a stored tensor, computed when they are read. */
export function realTensor(tensor: Tensor, quant: Quant): Tensor {
  const real = computedTensor('f32', tensor.shape, () => readF32(dequantized(tensor, quant)));
  const remembering: Tensor & { readonly stored: StoredTensor } = { ...real, stored: { tensor, quant } };
  return remembering;
}

/** The integers that a tensor of real numbers was read from; undefined for any other, and for one in another shape. */
export function storedForm(real: Tensor): StoredTensor | undefined {
  const stored = 'stored' in real ? (real.stored as StoredTensor) : undefined;
  return stored && sameShape(stored.tensor.shape, real.shape) ? stored : undefined;
}

/** Real values rounded to what the type stores, still as f32: ties to even, out-of-range values to the nearest end. */
export function rounded(real: Tensor, dtype: DType, quant: Quant): Tensor {
  const { scales, zeroPoints, indexOf } = elementParamsOf(quant, real.shape);
  const [least, most] = storedRange(dtype);
  const source = readF32(real);
  const values = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const at = indexOf(i);
    const scale = scales[at] as number;
    const zeroPoint = zeroPoints?.[at] ?? 0;
    const stored = Math.min(most, Math.max(least, roundToEven((source[i] as number) / scale) + zeroPoint));
    values[i] = (stored - zeroPoint) * scale;
  }
  return tensorOf('f32', real.shape, values);
}

/** Rounds to the nearest integer, half-way cases to the even neighbour, as ONNX's QuantizeLinear does. */
export function roundToEven(value: number): number {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}

/** The quantization of a matrix's transpose; `shape` is that of the matrix before it is transposed. */
export function transposedQuant(shape: Shape, quant: Quant): Quant {
  if (quant.per === 'tensor') return quant;
  const along = quant.axis < 0 ? quant.axis + 2 : quant.axis;
  const axis = 1 - along;
  if (quant.per === 'channel') return { ...quant, axis };
  const [rows, columns] = shape.map((size, i) =>
    i === along ? Math.ceil((size as number) / quant.size) : (size as number),
  ) as [number, number];
  const order = new Int32Array(rows * columns);
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < columns; c++) order[c * rows + r] = i++;
  return {
    ...quant,
    axis,
    scales: Float32Array.from(order, (at) => quant.scales[at] as number),
    ...(quant.zeroPoints && { zeroPoints: order.map((at) => quant.zeroPoints?.[at] as number) }),
  };
}
