import { MbertError } from '../errors.ts';
import { type Shape, shapeText, sizeOf } from './shape.ts';

/** Dtypes with their bits per element. */
export const DTYPES = {
  f64: 64,
  f32: 32,
  f16: 16,
  bf16: 16,
  i64: 64,
  u64: 64,
  i32: 32,
  u32: 32,
  i16: 16,
  u16: 16,
  i8: 8,
  u8: 8,
  i4: 4,
  u4: 4,
  bool: 8,
} as const;
/** The name of an element type. */
export type DType = keyof typeof DTYPES;

/**
 * Quantization, by which stored integers stand for real numbers: real = scale * (stored - zeroPoint), with one scale
 * for the tensor, one for each index of `axis`, or one for each block of `size` neighbours along `axis`. What mbert
 * emits per channel is symmetric; imported models may carry zero points.
 */
export type Quant =
  | { readonly per: 'tensor'; readonly scale: number; readonly zeroPoint: number }
  | { readonly per: 'channel'; readonly axis: number; readonly scales: Float32Array; readonly zeroPoints?: Int32Array }
  | {
      readonly per: 'block';
      readonly axis: number;
      readonly size: number;
      readonly scales: Float32Array;
      readonly zeroPoints?: Int32Array;
    };

/** Dtype and shape of a value; with `quant` its elements are integers that stand for real numbers. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly quant?: Quant;
}

/**
 * Immutable data of known size. `bytes` may read a file range or compute on every call: ask late, keep briefly.
 * Where `fresh` is true the caller owns what `bytes` returns and may change it; otherwise it is a shared view.
 */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly fresh?: boolean;
  bytes(): Uint8Array;
}

/** The number of bytes of a dense tensor; two 4-bit elements share a byte and an odd last one has its own. */
export function byteLength(dtype: DType, shape: readonly number[]): number {
  return Math.ceil((sizeOf(shape) * DTYPES[dtype]) / 8);
}

export type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;
export type TypedArray = NumberArray | BigInt64Array | BigUint64Array;

const ARRAYS = {
  f64: Float64Array,
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  i32: Int32Array,
  u32: Uint32Array,
  i16: Int16Array,
  u16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
  i4: Uint8Array,
  u4: Uint8Array,
  bool: Uint8Array,
} as const;

/**
 * The elements as a typed array over the same memory where alignment allows, else over a copy; f16 and bf16 as raw
 * bits.
 */
export function arrayOf<D extends DType>(tensor: Tensor & { readonly dtype: D }): InstanceType<(typeof ARRAYS)[D]> {
  const bytes = tensor.bytes();
  const Type = ARRAYS[tensor.dtype];
  const width = Type.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  return new Type(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / width) as InstanceType<
    (typeof ARRAYS)[D]
  >;
}

/**
 * A tensor over an array's memory; the array must not change afterwards. Throws INVALID_GRAPH where its size does not
 * fit.
 */
export function tensorOf(dtype: DType, shape: readonly number[], data: TypedArray): Tensor {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.byteLength !== byteLength(dtype, shape)) {
    throw new MbertError('INVALID_GRAPH', `${bytes.byteLength} bytes are no ${dtype}${shapeText(shape)}`);
  }
  return { dtype, shape, bytes: () => bytes };
}

/** A tensor that `compute` makes on demand, anew for every caller. */
export function computedTensor(dtype: DType, shape: readonly number[], compute: () => TypedArray): Tensor {
  return {
    dtype,
    shape,
    fresh: true,
    bytes() {
      const data = compute();
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    },
  };
}

/** The same tensor, its bytes computed here and kept. */
export function computedNow(tensor: Tensor): Tensor {
  const bytes = tensor.bytes();
  return { dtype: tensor.dtype, shape: tensor.shape, bytes: () => bytes };
}

/** A scalar: f32 of rank 0. */
export function scalarTensor(value: number): Tensor {
  return tensorOf('f32', [], Float32Array.of(value));
}

/** Integers as the given index type, e.g. token ids or a shape. */
export function integerTensor(
  dtype: 'i32' | 'i64',
  values: readonly number[],
  shape: readonly number[] = [values.length],
): Tensor {
  return tensorOf(dtype, shape, dtype === 'i32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt));
}

/** Largest finite f32. */
const MAX_F32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * Reads all elements as f32, possibly a view of shared memory: read only. f16, bf16 and 4-bit integers are unpacked;
 * 64-bit integers lose what f32 cannot hold. A finite f64 stays finite: a mask of the least f64 becomes one of the
 * least f32, since 0 times an infinity is no number.
 */
export function readF32(tensor: Tensor): Float32Array {
  switch (tensor.dtype) {
    case 'f32':
      return arrayOf(tensor as Tensor & { dtype: 'f32' });
    case 'f64':
      return Float32Array.from(arrayOf(tensor as Tensor & { dtype: 'f64' }), nearestF32);
    case 'f16':
      return widenF16(arrayOf(tensor as Tensor & { dtype: 'f16' }));
    case 'bf16':
      return widenBf16(arrayOf(tensor as Tensor & { dtype: 'bf16' }));
    case 'i4':
    case 'u4':
      return unpackNibbles(tensor.bytes(), sizeOf(tensor.shape), tensor.dtype === 'i4');
    case 'i64':
    case 'u64':
      return Float32Array.from(arrayOf(tensor as Tensor & { dtype: 'i64' }), Number);
    default:
      return Float32Array.from(arrayOf(tensor as Tensor & { dtype: 'i32' }));
  }
}

function nearestF32(value: number): number {
  return Number.isFinite(value) ? Math.min(MAX_F32, Math.max(-MAX_F32, value)) : value;
}

/** Reads all elements as f32 into memory that the caller owns and may change. */
export function takeF32(tensor: Tensor): Float32Array {
  const data = readF32(tensor);
  return tensor.dtype === 'f32' && !tensor.fresh ? data.slice() : data;
}

/** Reads all elements as numbers, for shapes, axes and indices: exact up to 2^53. */
export function readIntegers(tensor: Tensor): number[] {
  return Array.from(exactNumbers(tensor));
}

/** Reads all elements as numbers, exact up to 2^53: possibly a view of shared memory, read only. */
export function exactNumbers(tensor: Tensor): ArrayLike<number> {
  switch (tensor.dtype) {
    case 'i64':
    case 'u64':
      return fromBigInts(arrayOf(tensor as Tensor & { dtype: 'i64' }));
    case 'i32':
    case 'u32':
    case 'f64':
      return arrayOf(tensor as Tensor & { dtype: 'f64' });
    default:
      return readF32(tensor);
  }
}

/** A plain loop: `Array.from` with a function takes ten times as long. */
function fromBigInts(values: BigInt64Array): Float64Array {
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) numbers[i] = Number(values[i]);
  return numbers;
}

/**
 * Converts the elements to another dtype, on demand; for the same dtype the same tensor is returned. Floats become f16
 * by rounding to nearest even and saturate to infinity. Throws UNSUPPORTED for a dtype that mbert does not convert to.
 */
export function convertTensor(tensor: Tensor, dtype: DType): Tensor {
  if (tensor.dtype === dtype) return tensor;
  const { shape } = tensor;
  switch (dtype) {
    case 'f32':
      return computedTensor('f32', shape, () => readF32(tensor));
    case 'f16':
      return computedTensor('f16', shape, () => narrowF16(readF32(tensor)));
    case 'f64':
      return computedTensor('f64', shape, () => Float64Array.from(exactNumbers(tensor)));
    case 'i32':
      return computedTensor('i32', shape, () => Int32Array.from(exactNumbers(tensor)));
    case 'i64':
      return computedTensor('i64', shape, () => BigInt64Array.from(readIntegers(tensor), toBigInt));
    case 'i8':
    case 'u8':
    case 'i16':
    case 'u16':
    case 'u32':
      return computedTensor(dtype, shape, () => ARRAYS[dtype].from(readIntegers(tensor)));
    case 'bool':
      return computedTensor('bool', shape, () =>
        Uint8Array.from(readIntegers(tensor), (value) => (value === 0 ? 0 : 1)),
      );
    default:
      throw new MbertError('UNSUPPORTED', `conversion of ${tensor.dtype} to ${dtype}`);
  }
}

/** Truncates a number; NaN and infinities, which have no integer, give 0. */
export function toBigInt(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}

const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);

/** The shortest decimal that is the same f32: a file's 9.99999974e-6 was written as 1e-5. */
export function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/** Every f16 bit pattern as f32, made at first use: a table look-up beats bit arithmetic per element. */
let f16Table: Float32Array | undefined;

function makeF16Table(): Float32Array {
  const table = new Float32Array(65536);
  for (let half = 0; half < 65536; half++) {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) table[half] = sign * fraction * 2 ** -24;
    else if (exponent === 31) table[half] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else table[half] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

function widenF16(halves: Uint16Array): Float32Array {
  f16Table ??= makeF16Table();
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = f16Table[halves[i] as number] as number;
  return floats;
}

function widenBf16(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = (halves[i] as number) << 16;
  return new Float32Array(words.buffer);
}

function narrowF16(floats: Float32Array): Uint16Array {
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) halves[i] = f16Bits(floats[i] as number);
  return halves;
}

/** IEEE 754 binary16 bits of a number, rounded to nearest even. */
function f16Bits(value: number): number {
  asFloat[0] = value;
  const word = bits[0] as number;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and up round to infinity
  if (magnitude < 0x38800000) {
    // Below 2^-14 the result is subnormal: a whole number of 2^-24, ties to even.
    const steps = Math.abs(value) * 2 ** 24;
    const whole = Math.floor(steps);
    const rest = steps - whole;
    return sign | (whole + (rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? 1 : 0));
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

function unpackNibbles(packed: Uint8Array, count: number, signed: boolean): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const nibble = ((packed[i >> 1] as number) >> ((i & 1) * 4)) & 15;
    values[i] = signed && nibble > 7 ? nibble - 16 : nibble;
  }
  return values;
}

/** The 2-D transpose, computed on demand. */
export function transposed(tensor: Tensor): Tensor {
  const [rows, columns] = tensor.shape as readonly [number, number];
  return computedTensor('f32', [columns, rows], () => {
    const source = readF32(tensor);
    const target = new Float32Array(source.length);
    transposeInto(source, target, rows, columns);
    return target;
  });
}

/**
 * Side of the blocks of a transpose, which keep both matrices in the cache: a plain double loop is four times slower on
 * a 512x512 matrix.
 */
const BLOCK = 32;

/** Writes the transpose of a matrix [rows, columns]. */
export function transposeInto<E>(
  source: ArrayLike<E>,
  target: { [i: number]: E },
  rows: number,
  columns: number,
): void {
  for (let r0 = 0; r0 < rows; r0 += BLOCK) {
    for (let c0 = 0; c0 < columns; c0 += BLOCK) {
      const r1 = Math.min(r0 + BLOCK, rows);
      const c1 = Math.min(c0 + BLOCK, columns);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) target[c * rows + r] = source[r * columns + c] as E;
      }
    }
  }
}

/** Concatenates arrays. */
export function joinF32(parts: readonly Float32Array[]): Float32Array {
  const values = new Float32Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return values;
}
