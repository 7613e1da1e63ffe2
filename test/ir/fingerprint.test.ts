import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  digest,
  fingerprintedArray,
  fingerprintedTensor,
  fingerprintOf,
  knownFingerprint,
} from '../../src/ir/fingerprint.ts';
import { computedTensor, tensorOf } from '../../src/ir/tensor.ts';

const values = Float32Array.of(1, 2, 3);
const hash = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');

test('a fingerprint is how the SHA-256 of the bytes begins', () => {
  expect(digest(new Uint8Array(values.buffer))).toBe(hash);
  expect(fingerprintOf(tensorOf('f32', [3], values))).toBe(hash.slice(0, 8));
  expect(fingerprintOf(values)).toBe(hash.slice(0, 8));
});

test('it is of the bytes alone: shape and storage do not matter, part of a larger array does not show', () => {
  expect(fingerprintOf(tensorOf('f32', [3, 1], values))).toBe(hash.slice(0, 8));
  expect(fingerprintOf(computedTensor('f32', [3], () => values.slice()))).toBe(hash.slice(0, 8));
  expect(fingerprintOf(Float32Array.of(0, 1, 2, 3, 4).subarray(1, 4))).toBe(hash.slice(0, 8));
  expect(fingerprintOf(Int32Array.of(1, 2, 3))).not.toBe(hash.slice(0, 8));
});

test('a tensor may be known by its fingerprint alone, and then has no bytes', () => {
  const tensor = fingerprintedTensor('f32', [3], '9c1f02ab');
  expect([fingerprintOf(tensor), knownFingerprint(tensor), tensor.shape]).toEqual(['9c1f02ab', '9c1f02ab', [3]]);
  expect(() => tensor.bytes()).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: '#9c1f02ab: graph text holds no values of this constant',
    }),
  );
});

test('so may scales and zero points', () => {
  const scales = fingerprintedArray(new Float32Array(2).fill(Number.NaN), '12345678');
  expect([fingerprintOf(scales), scales.length]).toEqual(['12345678', 2]);
  expect(knownFingerprint(new Float32Array(2))).toBeUndefined();
  expect(knownFingerprint(tensorOf('f32', [3], values))).toBeUndefined();
});
