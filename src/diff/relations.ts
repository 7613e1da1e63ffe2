import { sizeOf } from '../ir/shape.ts';
import type { WeightDifference } from './difference.ts';
import type { ValueComparison } from './values.ts';

type Relation = Pick<WeightDifference, 'change' | 'factors' | 'axis' | 'bits'>;

/** Relative error of a scaled value: a product of two f32 is off by 2^-24 of itself, and three roundings still fit. */
const FACTOR_TOLERANCE = 2 ** -22;

/** The simplest relation that turns a into b, both of `shape`. */
export function relate(
  a: Float32Array,
  b: Float32Array,
  shape: readonly number[],
  compared: ValueComparison,
): Relation {
  const { largestA, largestB, factor } = compared;
  if (largestB === 0) return { change: 'zeroed' };
  if (largestA === 0) return { change: 'filled' };
  const isTelling = a.length > 1 && Math.abs(factor - 1) > FACTOR_TOLERANCE;
  if (isTelling && isScaled(a, b, 0, a.length, factor)) return { change: 'scaled', factors: [factor, factor] };
  const factors = rowFactors(a, b, shape);
  if (factors !== null) return { change: 'scaled', factors, axis: 0 };
  if (compared.sameRange) {
    if (isTransposed(a, b, shape, shape)) return { change: 'transposed' };
    const axis = permutedAxis(a, b, shape);
    if (axis !== null) return { change: 'permuted', axis };
  }
  return gridRelation(a, b, shape) ?? { change: 'values' };
}

/** Widths of quantized weights that were made floats again: whole multiples of a step, the largest of 4 bits or 8. */
const BITS = [4, 8] as const;

/** Tells whether one side is the other rounded, each row in steps of which its largest value is the largest number. */
function gridRelation(a: Float32Array, b: Float32Array, shape: readonly number[]): Relation | null {
  if (shape.length < 2) return null;
  for (const bits of BITS) {
    if (isRounded(a, b, shape, bits)) return { change: 'rounded', bits, axis: 0 };
    if (isRounded(b, a, shape, bits)) return { change: 'unrounded', bits, axis: 0 };
  }
  return null;
}

/** Distance from a whole number within which a quotient of f32 numbers, up to 127, stands for it. */
const GRID_TOLERANCE = 2 ** -12;

/** Most steps between a value and what it was rounded to: rounding that compensates errors goes up or down. */
const MAX_STEPS = 1;

/** True where `stored` is made of whole steps and `real` is no farther away than rounding, or clipping, takes it. */
function isRounded(real: Float32Array, stored: Float32Array, shape: readonly number[], bits: number): boolean {
  const width = stored.length / (shape[0] ?? 1);
  const most = 2 ** (bits - 1) - 1;
  for (let start = 0; start < stored.length; start += width) {
    let largest = 0;
    for (let i = start; i < start + width; i++) largest = Math.max(largest, Math.abs(stored[i] as number));
    const perStep = largest === 0 ? 0 : most / largest;
    for (let i = start; i < start + width; i++) {
      const steps = (stored[i] as number) * perStep;
      const wanted = (real[i] as number) * perStep;
      const clipped = Math.max(-most, Math.min(most, wanted));
      if (!(Math.abs(steps - clipped) <= MAX_STEPS)) return false;
      if (!(Math.abs(steps - Math.round(steps)) <= GRID_TOLERANCE)) return false;
    }
  }
  return true;
}

function isScaled(a: Float32Array, b: Float32Array, start: number, end: number, factor: number): boolean {
  for (let i = start; i < end; i++) {
    const y = b[i] as number;
    if (!(Math.abs(y - factor * (a[i] as number)) <= FACTOR_TOLERANCE * Math.abs(y))) return false;
  }
  return true;
}

/** Least and largest factor where each row (first axis) is scaled by its own; rows of one element always are: null. */
function rowFactors(a: Float32Array, b: Float32Array, shape: readonly number[]): [number, number] | null {
  const rows = shape[0] ?? 1;
  const width = a.length / rows;
  if (shape.length < 2 || width < 2) return null;
  let [least, most] = [Infinity, -Infinity];
  for (let row = 0; row < rows; row++) {
    let [dot, square] = [0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      dot += (a[i] as number) * (b[i] as number);
      square += (a[i] as number) ** 2;
    }
    const factor = square === 0 ? 0 : dot / square;
    if (!isScaled(a, b, row * width, (row + 1) * width, factor)) return null;
    least = Math.min(least, factor);
    most = Math.max(most, factor);
  }
  return [least, most];
}

/** True where b, of shape [n, m], is the transpose of a, of shape [m, n]. */
export function isTransposed(
  a: Float32Array,
  b: Float32Array,
  shapeA: readonly number[],
  shapeB: readonly number[],
): boolean {
  const [rows, columns] = shapeA as readonly [number, number];
  if (shapeA.length !== 2 || shapeB.length !== 2 || shapeB[0] !== columns || shapeB[1] !== rows) return false;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) if (a[r * columns + c] !== b[c * rows + r]) return false;
  }
  return true;
}

/** Axis, the first or the last, along which b has a's rows in another order. */
function permutedAxis(a: Float32Array, b: Float32Array, shape: readonly number[]): number | null {
  const rows = shape[0] ?? 1;
  if (shape.length > 0 && hasSameRows(a, b, rows)) return 0;
  if (shape.length !== 2) return null;
  const columns = shape[1] as number;
  return hasSameRows(transpose(a, rows, columns), transpose(b, rows, columns), columns) ? 1 : null;
}

function hasSameRows(a: Float32Array, b: Float32Array, rows: number): boolean {
  const counts = new Map<string, number>();
  for (let row = 0; row < rows; row++) {
    const key = rowKey(a, row, a.length / rows);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  for (let row = 0; row < rows; row++) {
    const key = rowKey(b, row, b.length / rows);
    const left = counts.get(key) ?? 0;
    if (left === 0) return false;
    counts.set(key, left - 1);
  }
  return true;
}

/** The bytes of a row as a text: exact, and a Map's key. */
function rowKey(values: Float32Array, row: number, width: number): string {
  return Buffer.from(values.buffer, values.byteOffset + 4 * row * width, 4 * width).toString('latin1');
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(sizeOf([rows, columns]));
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c] as number;
  }
  return turned;
}
