import { sizeOf } from '../ir/shape.ts';
import { convertTensor, type Quant, readF32, type Tensor, tensorOf } from '../ir/tensor.ts';

export type WeightDType = 'i8' | 'i4';

/**
 * The numbers of scales that a weight may have: one, one per index of its first axis, or one per 32 neighbours of a
 * row.
 */
export const GRANULARITIES = ['tensor', 'channel', 'block'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

/** The largest stored integers. Weights use a range that can be negated: -128 and -8 are never written. */
export const LARGEST = { i8: 127, i4: 7 } as const;

/** The number of values in a block, which TFLite's and ONNX Runtime's 4-bit kernels have in common. */
const BLOCK_SIZE = 32;

export interface QuantizedWeight {
  readonly tensor: Tensor;
  readonly quant: Quant;
}

export interface WeightOptions {
  readonly dtype: WeightDType;
  /**
   * The number of scales, by default `channel`. `block` needs a weight [rows, columns] with columns a multiple of
   * `BLOCK_SIZE`.
   */
  readonly granularity?: Granularity;
  /** The least scale of each channel, so that an int32 bias in units of it does not overflow. */
  readonly leastScales?: Float64Array;
}

/**
 * Rounds a weight [rows, ...] to symmetric integers: real = scale * stored, with no zero point. Each scale maps the
 * largest magnitude of its group to the largest integer; for 4 bits the one of a few smaller scales that has the least
 * squared error.
 */
export function quantizeWeight(weight: Tensor, options: WeightOptions): QuantizedWeight {
  const { dtype, granularity = 'channel' } = options;
  const values = readF32(weight);
  const groups = groupsOf(weight.shape, granularity);
  const exact = weightScales(values, groups, options);
  const scales = granularity === 'block' ? halved(exact) : exact;
  const stored = roundToScales(values, groups.size, scales, LARGEST[dtype]);
  return { tensor: packIntegers(dtype, weight.shape, stored), quant: quantOf(granularity, scales) };
}

/** The least positive f16. */
const LEAST_HALF = 2 ** -24;

/**
 * Rounds scales to f16, as TFLite holds those of blocks: integers are chosen for the scales that they will have, in
 * every format the same.
 */
function halved(scales: Float32Array): Float32Array {
  const halves = readF32(convertTensor(tensorOf('f32', [scales.length], scales), 'f16'));
  return halves.map((scale) => Math.max(scale, LEAST_HALF));
}

function quantOf(granularity: Granularity, scales: Float32Array): Quant {
  if (granularity === 'tensor') return { per: 'tensor', scale: scales[0] as number, zeroPoint: 0 };
  if (granularity === 'channel') return { per: 'channel', axis: 0, scales };
  return { per: 'block', axis: 1, size: BLOCK_SIZE, scales };
}

/** Splits the elements of a weight into equal runs that share a scale each. */
function groupsOf(
  shape: readonly number[],
  granularity: Granularity,
): { readonly count: number; readonly size: number } {
  const total = sizeOf(shape);
  if (granularity === 'tensor') return { count: 1, size: total };
  if (granularity === 'channel') return { count: shape[0] ?? 1, size: total / (shape[0] ?? 1) };
  return { count: total / BLOCK_SIZE, size: BLOCK_SIZE };
}

/** The least number of rows with blocks: LiteRT's own kernel ignores the scales of blocks in fewer rows. */
const LEAST_BLOCK_ROWS = 4;

/** Whether a weight can have a scale per block. */
export function fitsBlocks(shape: readonly number[]): boolean {
  const [rows = 0, columns = 0] = shape;
  return shape.length === 2 && rows >= LEAST_BLOCK_ROWS && columns % BLOCK_SIZE === 0;
}

/** Computes one scale per group, never 0: a group of zeros takes the mean of the others. */
function weightScales(
  values: Float32Array,
  { count, size }: { readonly count: number; readonly size: number },
  { dtype, leastScales }: WeightOptions,
): Float32Array {
  const largest = LARGEST[dtype];
  const scales = new Float32Array(count);
  let sum = 0;
  let used = 0;
  for (let group = 0; group < count; group++) {
    const from = group * size;
    let most = 0;
    for (let i = from; i < from + size; i++) {
      const magnitude = Math.abs(values[i] as number);
      if (magnitude > most) most = magnitude;
    }
    let scale = most / largest;
    if (dtype === 'i4' && most > 0) scale *= shrinkFactor(values, from, size, scale, largest);
    scales[group] = Math.max(scale, leastScales?.[group] ?? 0);
    if (most > 0) {
      sum += scale;
      used++;
    }
  }
  const fallback = used > 0 ? sum / used : 1;
  for (let group = 0; group < count; group++) if (scales[group] === 0) scales[group] = fallback;
  return scales;
}

/**
 * The number of smaller scales that are compared for 4 bits: with 15 steps, clipping the largest weight a little costs
 * less than the finer steps of all others win.
 */
const SHRINK_STEPS = 10;
const LEAST_SHRINK = 0.6;

function shrinkFactor(values: Float32Array, from: number, size: number, scale: number, largest: number): number {
  let best = 1;
  let leastError = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= SHRINK_STEPS; step++) {
    const factor = 1 - ((1 - LEAST_SHRINK) * step) / SHRINK_STEPS;
    const inverse = 1 / (scale * factor);
    let error = 0;
    for (let i = from; i < from + size; i++) {
      const real = (values[i] as number) * inverse;
      const stored = Math.min(largest, Math.max(-largest, Math.round(real)));
      error += (real - stored) * (real - stored);
    }
    error *= factor * factor;
    if (error < leastError) {
      leastError = error;
      best = factor;
    }
  }
  return best;
}

/** A number that rounds an f64 below 2^51 to an integer, ties to even, when it is added and subtracted again. */
const ROUNDER = 1.5 * 2 ** 52;

/** Rounds each run of `size` values, in units of its scale, to even and within ±largest. */
export function roundToScales(values: Float32Array, size: number, scales: Float32Array, largest: number): Int8Array {
  const stored = new Int8Array(values.length);
  for (let group = 0; group < scales.length; group++) {
    const inverse = 1 / (scales[group] as number);
    const end = (group + 1) * size;
    for (let i = group * size; i < end; i++) {
      const rounded = (values[i] as number) * inverse + ROUNDER - ROUNDER;
      stored[i] = rounded > largest ? largest : rounded < -largest ? -largest : rounded;
    }
  }
  return stored;
}

/** Packs stored integers into a tensor; 4-bit integers two to a byte, the first one low. */
export function packIntegers(dtype: WeightDType, shape: readonly number[], stored: Int8Array): Tensor {
  if (dtype === 'i8') return tensorOf('i8', shape, stored);
  const packed = new Uint8Array(Math.ceil(stored.length / 2));
  for (let i = 0; i < stored.length; i++) {
    packed[i >> 1] = (packed[i >> 1] as number) | (((stored[i] as number) & 15) << ((i & 1) * 4));
  }
  return tensorOf('i4', shape, packed);
}
