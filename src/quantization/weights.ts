import { sizeOf } from '../ir/shape.ts';
import { convertTensor, type Quant, readF32, type Tensor, tensorOf } from '../ir/tensor.ts';

/** The types of stored weights: `u4` has a zero point in each group, the others are symmetric. */
export type WeightDType = 'i8' | 'i4' | 'u4';

/**
 * The numbers of scales that a weight may have: one, one per index of its first axis, or one per block of neighbours in
 * a row.
 */
export const GRANULARITIES = ['tensor', 'channel', 'block'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

/**
 * The least and the largest stored integers. Symmetric weights use a range that can be negated: -128 and -8 are never
 * written.
 */
export const WEIGHT_RANGES = { i8: [-127, 127], i4: [-7, 7], u4: [0, 15] } as const;
type WeightRange = readonly [least: number, largest: number];

/** The number of values in a block, which TFLite's and ONNX Runtime's 4-bit kernels have in common. */
const BLOCK_SIZE = 32;

export interface QuantizedWeight {
  readonly tensor: Tensor;
  readonly quant: Quant;
  /** Errors of some rows of a table, which are added to what is looked up in it. */
  readonly rowErrors?: RowErrors;
}

/** What rounding gets wrong of some rows of a table, rounded as well. */
export interface RowErrors {
  /** The row of `errors` for each row of the table; 0 for those without: row 0 holds zeros. */
  readonly places: Int32Array;
  /** [rows with errors + 1, width] */
  readonly errors: QuantizedWeight;
}

export interface WeightOptions {
  readonly dtype: WeightDType;
  /** The number of scales, by default `channel`. `block` needs a weight that `fitsBlocks`. */
  readonly granularity?: Granularity;
  /** The number of neighbours that share a scale where the granularity is `block`; 32 by default. */
  readonly blockSize?: number;
  /** The least scale of each channel, so that an int32 bias in units of it does not overflow. */
  readonly leastScales?: Float64Array;
}

/** Tells apart the forms in which one weight may be stored. */
export function storageKey({ dtype, granularity, blockSize }: WeightOptions): string {
  return `${dtype} ${granularity} ${blockSize}`;
}

/**
 * Rounds a weight [rows, ...] to integers: real = scale * (stored - zero point), where only `u4` has zero points. Each
 * scale maps the values of its group to the whole range of integers; for 4 bits the one of a few smaller scales that
 * has the least squared error.
 */
export function quantizeWeight(weight: Tensor, options: WeightOptions): QuantizedWeight {
  const { dtype, granularity = 'channel', blockSize = BLOCK_SIZE } = options;
  const values = readF32(weight);
  const groups = groupsOf(weight.shape, granularity, blockSize);
  const exact = weightSteps(values, groups, options);
  const steps = granularity === 'block' ? { ...exact, scales: halved(exact.scales) } : exact;
  const stored = roundToSteps(values, groups.size, steps, WEIGHT_RANGES[dtype]);
  return { tensor: packIntegers(dtype, weight.shape, stored), quant: quantOf(granularity, blockSize, steps) };
}

/** The scale of each group, and where groups have one, its zero point. */
export interface Steps {
  readonly scales: Float32Array;
  readonly zeroPoints?: Int32Array;
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

function quantOf(granularity: Granularity, size: number, { scales, zeroPoints }: Steps): Quant {
  if (granularity === 'tensor') {
    return { per: 'tensor', scale: scales[0] as number, zeroPoint: zeroPoints?.[0] ?? 0 };
  }
  const steps = { scales, ...(zeroPoints && { zeroPoints }) };
  return granularity === 'channel' ? { per: 'channel', axis: 0, ...steps } : { per: 'block', axis: 1, size, ...steps };
}

/** Splits the elements of a weight into equal runs that share a scale each. */
function groupsOf(
  shape: readonly number[],
  granularity: Granularity,
  blockSize: number,
): { readonly count: number; readonly size: number } {
  const total = sizeOf(shape);
  if (granularity === 'tensor') return { count: 1, size: total };
  if (granularity === 'channel') return { count: shape[0] ?? 1, size: total / (shape[0] ?? 1) };
  return { count: total / blockSize, size: blockSize };
}

/** The blocks that a target's kernels take. */
export interface WeightBlocks {
  /** Neighbours that share a scale where they have 4 bits. */
  readonly w4: number;
  /** Neighbours that share a scale where they have 8 bits; undefined where no kernel takes 8 bits in blocks. */
  readonly w8?: number;
  /** Whether 4-bit blocks have zero points, so that all 16 integers are used. */
  readonly hasZeroPoints: boolean;
  /** Neighbours that share a scale in rows of a word table; by default as many as `w4` says. */
  readonly wordTable?: number;
  /** Whether rows of a table in 4 bits are looked up without unpacking the others. */
  readonly hasTables: boolean;
}

/** The blocks that every format and runtime with 4-bit weights has. */
export const PLAIN_BLOCKS: WeightBlocks = { w4: BLOCK_SIZE, hasZeroPoints: false, hasTables: false };

/** The least number of rows with blocks: LiteRT's own kernel ignores the scales of blocks in fewer rows. */
const LEAST_BLOCK_ROWS = 4;

/** Whether a weight can have a scale per block of this size. */
export function fitsBlocks(shape: readonly number[], size = BLOCK_SIZE): boolean {
  const [rows = 0, columns = 0] = shape;
  return shape.length === 2 && rows >= LEAST_BLOCK_ROWS && columns % size === 0;
}

/** The size of a weight's blocks: what is wanted or, where that does not divide its rows, half of it, down to 32. */
export function blockSizeFor(shape: readonly number[], wanted: number): number | undefined {
  for (let size = wanted; size >= BLOCK_SIZE; size /= 2) if (fitsBlocks(shape, size)) return size;
  return undefined;
}

/** Computes one scale per group, never 0: a group of zeros takes the mean of the others. */
function weightSteps(
  values: Float32Array,
  { count, size }: { readonly count: number; readonly size: number },
  { dtype, leastScales }: WeightOptions,
): Steps {
  const range = WEIGHT_RANGES[dtype];
  const scales = new Float32Array(count);
  const zeroPoints = dtype === 'u4' ? new Int32Array(count) : undefined;
  let sum = 0;
  let used = 0;
  for (let group = 0; group < count; group++) {
    const from = group * size;
    let least = 0;
    let most = 0;
    for (let i = from; i < from + size; i++) {
      const value = values[i] as number;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    if (!zeroPoints) {
      most = Math.max(most, -least);
      least = -most;
    }
    let scale = (most - least) / (range[1] - range[0]);
    const isEmpty = scale === 0;
    if (dtype !== 'i8' && !isEmpty) {
      const best = bestStep(values, { from, size, scale, least }, range);
      scale = best.scale;
      if (zeroPoints) zeroPoints[group] = best.zeroPoint;
    }
    scales[group] = Math.max(scale, leastScales?.[group] ?? 0);
    if (!isEmpty) {
      sum += scale;
      used++;
    }
  }
  const fallback = used > 0 ? sum / used : 1;
  for (let group = 0; group < count; group++) if (scales[group] === 0) scales[group] = fallback;
  return { scales, ...(zeroPoints && { zeroPoints }) };
}

/**
 * The number of smaller scales that are compared for 4 bits: with 15 or 16 steps, clipping the largest weight a little
 * costs less than the finer steps of all others win.
 */
const SHRINK_STEPS = 10;
const LEAST_SHRINK = 0.6;

/** Values that share a scale: the run that they are, the scale of their whole range, and its lower end. */
interface Group {
  readonly from: number;
  readonly size: number;
  readonly scale: number;
  readonly least: number;
}

/** A number that rounds an f64 below 2^51 to an integer, ties to even, when it is added and subtracted again. */
const ROUNDER = 1.5 * 2 ** 52;

/**
 * Finds the scale with the least squared error, and the zero point, which is 0 in a symmetric range. A zero point is an
 * integer, so that a range of all steps is cut at one end by up to half of one: a scale with a step to spare is
 * compared as well, and the integers on both sides of the exact zero point.
 */
function bestStep(values: Float32Array, { from, size, scale, least }: Group, range: WeightRange) {
  const isSymmetric = range[0] < 0;
  const steps = range[1] - range[0];
  const best = { scale, zeroPoint: 0 };
  let leastError = Number.POSITIVE_INFINITY;
  for (let step = isSymmetric ? 0 : -1; step <= SHRINK_STEPS; step++) {
    const factor = step < 0 ? steps / (steps - 1) : 1 - ((1 - LEAST_SHRINK) * step) / SHRINK_STEPS;
    const tried = scale * factor;
    const exact = isSymmetric ? 0 : Math.min(range[1], (-least * Math.min(1, factor)) / tried);
    for (let zeroPoint = Math.floor(exact); zeroPoint <= Math.ceil(exact); zeroPoint++) {
      const lowest = range[0] - zeroPoint;
      const highest = range[1] - zeroPoint;
      const inverse = 1 / tried;
      const unit = factor * factor;
      const end = from + size;
      let error = 0;
      // Most scales are out of the question after a few values.
      for (let i = from; i < end && error * unit < leastError; i++) {
        const real = (values[i] as number) * inverse;
        const rounded = real + ROUNDER - ROUNDER;
        const left = real - (rounded > highest ? highest : rounded < lowest ? lowest : rounded);
        error += left * left;
      }
      error *= unit;
      if (error >= leastError) continue;
      leastError = error;
      best.scale = tried;
      best.zeroPoint = zeroPoint;
    }
  }
  return best;
}

/** Rounds each run of `size` values, in units of its scale, to even; what lies outside the range goes to its ends. */
export function roundToSteps(
  values: Float32Array,
  size: number,
  { scales, zeroPoints }: Steps,
  [least, largest]: WeightRange,
): Int8Array {
  const stored = new Int8Array(values.length);
  for (let group = 0; group < scales.length; group++) {
    const inverse = 1 / (scales[group] as number);
    const zeroPoint = zeroPoints?.[group] ?? 0;
    const end = (group + 1) * size;
    for (let i = group * size; i < end; i++) {
      const rounded = (values[i] as number) * inverse + ROUNDER - ROUNDER + zeroPoint;
      stored[i] = rounded > largest ? largest : rounded < least ? least : rounded;
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
  return tensorOf(dtype, shape, packed);
}
