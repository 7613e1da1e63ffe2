import { MbertError } from '../errors.ts';

/**
 * Largest absolute difference max |reference - actual|: 0 for no values, NaN where only one side has a NaN. Equal
 * infinities do not differ.
 */
export function maxAbsError(reference: Float32Array, actual: Float32Array): number {
  checkLengths(reference, actual);
  let largest = 0;
  for (let i = 0; i < reference.length; i++) {
    const [a, b] = [reference[i] as number, actual[i] as number];
    const error = Object.is(a, b) ? 0 : Math.abs(a - b);
    if (Number.isNaN(error)) return Number.NaN;
    if (error > largest) largest = error;
  }
  return largest;
}

/**
 * Signal to quantization noise in dB: 10·log10(Σ reference² / Σ (reference - actual)²). Infinity where both are equal,
 * -Infinity where the reference is all zeros and the actual values are not, NaN where one has a NaN or infinity.
 */
export function sqnr(reference: Float32Array, actual: Float32Array): number {
  checkLengths(reference, actual);
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < reference.length; i++) {
    const value = reference[i] as number;
    const error = value - (actual[i] as number);
    signal += value * value;
    noise += error * error;
  }
  return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
}

/** Cosine of two vectors, Σ reference·actual / (|reference|·|actual|): NaN where one of them is all zeros. */
export function cosine(reference: Float32Array, actual: Float32Array): number {
  checkLengths(reference, actual);
  let [product, signal, power] = [0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    const [a, b] = [reference[i] as number, actual[i] as number];
    product += a * b;
    signal += a * a;
    power += b * b;
  }
  return product / Math.sqrt(signal * power);
}

/**
 * The share of rows of `logits` [labels.length, classes] whose largest value is at the row's label, 0 … 1; NaN for no
 * rows.
 */
export function accuracy(logits: Float32Array, labels: ArrayLike<number>, classes: number): number {
  if (logits.length !== labels.length * classes) {
    throw new MbertError('MISMATCH', `${logits.length} logits are not ${classes} for each of ${labels.length} labels`);
  }
  return share(argmaxRows(logits, classes), (place, i) => place === labels[i]);
}

/**
 * The index of each row's largest value, the first of equal ones; -1 for a row with a NaN, which agrees with nothing.
 */
export function argmaxRows(values: Float32Array, width: number): Int32Array {
  if (values.length % width !== 0) throw new MbertError('MISMATCH', `${values.length} values are no rows of ${width}`);
  const places = new Int32Array(values.length / width);
  for (let row = 0; row < places.length; row++) {
    const start = row * width;
    let best = 0;
    for (let i = 0; i < width && best >= 0; i++) {
      const value = values[start + i] as number;
      if (Number.isNaN(value)) best = -1;
      else if (value > (values[start + best] as number)) best = i;
    }
    places[row] = best;
  }
  return places;
}

function share(places: Int32Array, isGood: (place: number, row: number) => boolean): number {
  let good = 0;
  for (const [row, place] of places.entries()) {
    if (isGood(place, row)) good++;
  }
  return good / places.length;
}

function checkLengths(a: Float32Array, b: Float32Array): void {
  if (a.length !== b.length) throw new MbertError('MISMATCH', `${a.length} values cannot be compared with ${b.length}`);
}
