import { sizeOf } from '../ir/shape.ts';
import { readF32, type Tensor, takeF32, tensorOf } from '../ir/tensor.ts';

/** A factor or an addend per channel, in f64 because products of many of them accumulate in one weight. */
export type PerChannel = Float64Array;

/**
 * The affine form in which a value is stored, channel by channel: real = scale∘stored + offset. A null scale stands for
 * ones, a null offset for zeros.
 */
export interface Gauge {
  readonly scale: PerChannel | null;
  readonly offset: PerChannel | null;
}

/**
 * Scales the rows of W [out, in]: diag(rows) W. With `inPlace` the tensor's own memory is changed: it must have no
 * other reader.
 */
export function scaledRows(weight: Tensor, rows: PerChannel, inPlace = false): Tensor {
  const [out, width] = weight.shape as readonly [number, number];
  const values = inPlace ? readF32(weight) : takeF32(weight);
  for (let o = 0; o < out; o++) {
    const row = rows[o] as number;
    const end = (o + 1) * width;
    for (let i = o * width; i < end; i++) values[i] = (values[i] as number) * row;
  }
  return tensorOf('f32', weight.shape, values);
}

/**
 * Computes W diag(columns) and W v for W [out, in] and v [in] in one reading of W: what a linear absorbs of its input's
 * gauge.
 */
export function absorbColumns(
  weight: Tensor,
  columns: PerChannel,
  vector: PerChannel | null,
): { readonly weight: Tensor; readonly product: PerChannel | null } {
  const [out, width] = weight.shape as readonly [number, number];
  const values = takeF32(weight);
  const product = new Float64Array(out);
  const offset = vector ?? new Float64Array(width);
  for (let o = 0, at = 0; o < out; o++) {
    let sum = 0;
    for (let i = 0; i < width; i++, at++) {
      const value = values[at] as number;
      sum += value * (offset[i] as number);
      values[at] = value * (columns[i] as number);
    }
    product[o] = sum;
  }
  return { weight: tensorOf('f32', weight.shape, values), product: vector && product };
}

/** Multiplies W [out, in] with v [in]. */
export function timesVector(weight: Tensor, vector: PerChannel): PerChannel {
  const [out, width] = weight.shape as readonly [number, number];
  const values = readF32(weight);
  const result = new Float64Array(out);
  for (let o = 0; o < out; o++) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += (values[o * width + i] as number) * (vector[i] as number);
    result[o] = sum;
  }
  return result;
}

/** Computes x∘scale + offset on the last axis of a table [..., channels]. */
export function affineTable(table: Tensor, scale: PerChannel, offset?: PerChannel): Tensor {
  const values = takeF32(table);
  const width = scale.length;
  for (let from = 0; from < sizeOf(table.shape); from += width) {
    for (let i = 0; i < width; i++)
      values[from + i] = (values[from + i] as number) * (scale[i] as number) + (offset ? (offset[i] as number) : 0);
  }
  return tensorOf('f32', table.shape, values);
}

/** Reads a tensor's elements as f64. */
export function perChannel(tensor: Tensor): PerChannel {
  return Float64Array.from(readF32(tensor));
}

/** Computes a∘b + c, where null stands for all ones (a) or all zeros (c). */
export function timesPlus(a: PerChannel | null, b: PerChannel, c: PerChannel | null): PerChannel {
  const result = new Float64Array(b.length);
  for (let i = 0; i < b.length; i++)
    result[i] = (a ? (a[i] as number) : 1) * (b[i] as number) + (c ? (c[i] as number) : 0);
  return result;
}

/** Adds two vectors, where null stands for zeros; null if both are. */
export function sum(a: PerChannel | null, b: PerChannel | null): PerChannel | null {
  if (a === null || b === null) return a ?? b;
  const result = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = (a[i] as number) + (b[i] as number);
  return result;
}

export function reciprocal(values: PerChannel): PerChannel {
  const result = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = 1 / (values[i] as number);
  return result;
}

/** Converts a vector to the f32 tensor [channels] of a constant. */
export function vectorTensor(values: PerChannel): Tensor {
  return tensorOf('f32', [values.length], Float32Array.from(values));
}
