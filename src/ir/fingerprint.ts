import { createHash } from 'node:crypto';
import { MbertError } from '../errors.ts';
import { type DType, type Tensor, tensorOf } from './tensor.ts';

/** SHA-256 in hex. */
export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What graph text shows of a digest: eight hex digits are enough to see a change, and short enough to read. */
export const FINGERPRINT_DIGITS = 8;

/** Marks data of which graph text gave the fingerprint only. */
interface Fingerprinted {
  readonly fingerprint: string;
}

/** A tensor known by its fingerprint: its bytes cannot be read. */
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

/** Scales or zero points known by their fingerprint: NaN or 0 each. */
export function fingerprintedArray<A extends Float32Array | Int32Array>(array: A, fingerprint: string): A {
  return Object.assign(array, { fingerprint });
}

/** The first digits of the SHA-256 of a tensor's or an array's bytes. */
export function fingerprintOf(data: Tensor | Float32Array | Int32Array): string {
  const known = knownFingerprint(data);
  if (known !== undefined) return known;
  const bytes = ArrayBuffer.isView(data) ? tensorOf('f32', [data.length], data).bytes() : data.bytes();
  return digest(bytes).slice(0, FINGERPRINT_DIGITS);
}

/** The fingerprint that stands in the place of values, if it does. */
export function knownFingerprint(data: Tensor | Float32Array | Int32Array): string | undefined {
  return 'fingerprint' in data ? (data as Fingerprinted).fingerprint : undefined;
}
