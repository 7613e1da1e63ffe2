import { aroundAxis, sizeOf } from '../ir/shape.ts';
import { arrayOf, type Quant, readF32, type Tensor } from '../ir/tensor.ts';
import type { ValueError } from './difference.ts';

/** Real numbers that a constant stands for, as f32; possibly a view of shared memory. */
export function realValues(tensor: Tensor, quant: Quant | undefined): Float32Array {
  const stored = storedValues(tensor);
  return quant === undefined ? stored : dequantize(stored, tensor.shape, quant);
}

function storedValues(tensor: Tensor): Float32Array {
  switch (tensor.dtype) {
    // Conversions of whole arrays: Float32Array.from goes element by element.
    case 'i8':
      return new Float32Array(arrayOf({ ...tensor, dtype: 'i8' }));
    case 'u8':
      return new Float32Array(arrayOf({ ...tensor, dtype: 'u8' }));
    case 'i32':
      return new Float32Array(arrayOf({ ...tensor, dtype: 'i32' }));
    default:
      return readF32(tensor);
  }
}

/** Dequantizes whole rows at a time: a full-size model has 25 million weights. */
function dequantize(stored: Float32Array, shape: readonly number[], quant: Quant): Float32Array {
  const values = new Float32Array(stored.length);
  forEachRun(shape, quant, (start, end, scale, zeroPoint) => {
    for (let i = start; i < end; i++) values[i] = ((stored[i] as number) - zeroPoint) * scale;
  });
  return values;
}

/** Size of one step of the storage, for each element. */
export function stepSizes(shape: readonly number[], quant: Quant, elements: number): Float32Array {
  const steps = new Float32Array(elements);
  forEachRun(shape, quant, (start, end, scale) => steps.fill(scale, start, end));
  return steps;
}

/** Visits runs of elements that share a scale and a zero point. */
function forEachRun(
  shape: readonly number[],
  quant: Quant,
  run: (start: number, end: number, scale: number, zeroPoint: number) => void,
): void {
  if (quant.per === 'tensor') {
    run(0, sizeOf(shape), quant.scale, quant.zeroPoint);
    return;
  }
  const { outer, length, inner } = aroundAxis(shape, quant.axis);
  const { scales, zeroPoints } = quant;
  const size = quant.per === 'channel' ? 1 : quant.size;
  const blocks = Math.ceil(length / size);
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < length; c++) {
      const start = (o * length + c) * inner;
      if (quant.per === 'channel') {
        run(start, start + inner, scales[c] as number, zeroPoints?.[c] ?? 0);
        continue;
      }
      // Blocks have a scale for each of the elements behind the axis.
      for (let i = 0; i < inner; i++) {
        const at = (o * blocks + Math.floor(c / size)) * inner + i;
        run(start + i, start + i + 1, scales[at] as number, zeroPoints?.[at] ?? 0);
      }
    }
  }
}

/** Facts that one pass over two equally long arrays tells. */
export interface ValueComparison {
  /** Largest distance; infinite where one side is not a number. */
  readonly maxAbs: number;
  readonly sqnrDb: number;
  readonly changed: number;
  readonly elements: number;
  readonly largestA: number;
  readonly largestB: number;
  /** Σab / Σa²: by how much a must be scaled to come closest to b. */
  readonly factor: number;
  /** True where both sides have the same least and largest value. */
  readonly sameRange: boolean;
}

export function compareValues(a: Float32Array, b: Float32Array): ValueComparison {
  let [maxAbs, changed, signal, noise, dot] = [0, 0, 0, 0, 0];
  let [minA, maxA, minB, maxB] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    if (x < minA) minA = x;
    if (x > maxA) maxA = x;
    if (y < minB) minB = y;
    if (y > maxB) maxB = y;
    signal += x * x;
    dot += x * y;
    if (x === y) continue;
    const error = x - y;
    noise += error * error;
    let distance = Math.abs(error);
    if (Number.isNaN(distance)) {
      if (Number.isNaN(x) && Number.isNaN(y)) continue;
      // Not a number on one side is as far as can be.
      distance = Infinity;
    }
    changed++;
    if (distance > maxAbs) maxAbs = distance;
  }
  return {
    maxAbs,
    sqnrDb: 10 * Math.log10(signal / noise),
    changed,
    elements: a.length,
    largestA: Math.max(-minA, maxA, 0),
    largestB: Math.max(-minB, maxB, 0),
    factor: signal > 0 ? dot / signal : 0,
    sameRange: minA === minB && maxA === maxB,
  };
}

/** The part of a comparison that a difference reports. */
export function errorOf({ maxAbs, sqnrDb, changed, elements, largestA, largestB }: ValueComparison): ValueError {
  return {
    maxAbs: finite(maxAbs),
    relative: finite(maxAbs / Math.max(largestA, largestB)),
    sqnrDb: finite(sqnrDb),
    changed,
    elements,
  };
}

/** The number, or null where it is not finite and JSON could not hold it. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
