import { expect, test } from 'vitest';
import { fixedQuant, quantOf } from '../../src/quantization/qparams.ts';

test('a range that is not centred has its zero where it lies', () => {
  expect(quantOf({ least: -1, most: 4 }, 'i8')).toEqual({ per: 'tensor', scale: Math.fround(5 / 255), zeroPoint: -77 });
  expect(quantOf({ least: -1, most: 4 }, 'i8', true)).toEqual({
    per: 'tensor',
    scale: Math.fround(4 / 127),
    zeroPoint: 0,
  });
});

test('sixteen bits have their zero in the middle, and the larger side sets the scale', () => {
  expect(quantOf({ least: -4, most: 1 }, 'i16')).toEqual({
    per: 'tensor',
    scale: Math.fround(4 / 32767),
    zeroPoint: 0,
  });
});

test('zeros alone have a scale that divides', () => {
  for (const dtype of ['i8', 'u8', 'i16'] as const) expect(quantOf({ least: 0, most: 0 }, dtype).scale).toBe(1);
});

test('what softmax gives lies between 0 and 1, whatever it reads', () => {
  expect(fixedQuant('softmax', 'i8')).toEqual({ per: 'tensor', scale: 1 / 256, zeroPoint: -128 });
  expect(fixedQuant('softmax', 'i16')).toEqual({ per: 'tensor', scale: 1 / 32768, zeroPoint: 0 });
});

test.each(['add', 'linear', 'shift'] as const)('values decide for %s', (op) => {
  expect(fixedQuant(op, 'i8')).toBeUndefined();
});
