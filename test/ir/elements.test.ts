import { expect, test } from 'vitest';
import { elementsOf, tensorOfElements, transposedElements } from '../../src/ir/elements.ts';
import { readF32, tensorOf } from '../../src/ir/tensor.ts';

/** Rows 1 2 -1 and -8 7 0 of 4 bits, the low half of a byte first. */
const ROWS = tensorOf('i4', [2, 3], Uint8Array.of(0x21, 0x8f, 0x07));

test('two elements of 4 bits come out of one byte', () => {
  expect([...elementsOf(ROWS)]).toEqual([1, 2, 15, 8, 7, 0]);
});

test('elements of 4 bits go two into a byte, the last one alone where their number is odd', () => {
  expect([...tensorOfElements('u4', [3], Uint8Array.of(1, 2, 15)).bytes()]).toEqual([0x21, 0x0f]);
});

test('a matrix of 4 bits is transposed by elements, not by bytes', () => {
  const turned = transposedElements(ROWS);
  expect([turned.dtype, turned.shape]).toEqual(['i4', [3, 2]]);
  expect([...readF32(turned)]).toEqual([1, -8, 2, 7, -1, 0]);
});

test('a matrix of halves is transposed bit by bit', () => {
  const halves = tensorOf('f16', [1, 2], Uint16Array.of(0x3c00, 0x7e01));
  expect([...elementsOf(transposedElements(halves))]).toEqual([0x3c00, 0x7e01]);
});
