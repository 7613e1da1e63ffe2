import { createHash } from 'node:crypto';
import { MbertError } from '../errors.ts';
import { type DType, type Tensor, tensorOf } from './tensor.ts';

/** SHA-256 of some bytes, in hex. */
export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Digits of a digest that graph text shows: eight hex digits are enough to see a change, and short enough to read. */
export const FINGERPRINT_DIGITS = 8;

/** Data read from graph text that gives only the fingerprint of the values. */
interface Fingerprinted {
  readonly fingerprint: string;
}

/** A tensor known only by its fingerprint: reading its bytes throws UNSUPPORTED. */
export function fingerprintedTensor(dtype: DType, shape: readonly number[], fingerprint: string): Tensor {
  const tensor: Tensor & Fingerprinted = {
    dtype,
    shape,
    fingerprint,
    bytes() {
      throw new MbertError('UNSUPPORTED', `#${fingerprint}: graph text holds no values of this constant`);
    },
  };
  return tensor;
}

/** Marks scales (all NaN) or zero points (all 0) as known only by their fingerprint. */
export function fingerprintedArray<A extends Float32Array | Int32Array>(array: A, fingerprint: string): A {
  return Object.assign(array, { fingerprint });
}

/** The fingerprint of a tensor or an array: the first digits of the SHA-256 of its bytes. */
export function fingerprintOf(data: Tensor | Float32Array | Int32Array): string {
  const known = knownFingerprint(data);
  if (known !== undefined) return known;
  const bytes = ArrayBuffer.isView(data) ? tensorOf('f32', [data.length], data).bytes() : data.bytes();
  return digest(bytes).slice(0, FINGERPRINT_DIGITS);
}

/** The fingerprint that stands in the place of unknown values; undefined for data that has its values. */
export function knownFingerprint(data: Tensor | Float32Array | Int32Array): string | undefined {
  return 'fingerprint' in data ? (data as Fingerprinted).fingerprint : undefined;
}
