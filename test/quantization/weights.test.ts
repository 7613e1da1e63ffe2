import { describe, expect, test } from 'vitest';
import { dequantized } from '../../src/ir/quantized.ts';
import { convertTensor, readF32, readIntegers, tensorOf } from '../../src/ir/tensor.ts';
import {
  blockSizeFor,
  fitsBlocks,
  packIntegers,
  quantizeWeight,
  roundToSteps,
  storageKey,
} from '../../src/quantization/weights.ts';
import { randomTensor } from '../core.ts';
import { fc } from '../fast-check.ts';

const weight = (shape: readonly number[], values: readonly number[]) =>
  tensorOf('f32', shape, Float32Array.from(values));

test('blocks are for matrices of whole blocks, and of rows enough for LiteRT', () => {
  const shapes = [
    [4, 32],
    [4, 48],
    [3, 32],
    [4, 32, 32],
    [64, 96],
  ];
  expect(shapes.map((shape) => fitsBlocks(shape))).toEqual([true, false, false, false, true]);
});

describe('quantizeWeight', () => {
  test('gives each channel a scale that maps its largest magnitude to 127', () => {
    const { tensor, quant } = quantizeWeight(weight([2, 3], [1.27, -0.5, 0.02, 0.1, -0.254, 0]), { dtype: 'i8' });
    expect(readIntegers(tensor)).toEqual([127, -50, 2, 50, -127, 0]);
    expect(quant).toMatchObject({ per: 'channel', axis: 0 });
    expect(quant.per === 'channel' && Array.from(quant.scales, (scale) => scale.toPrecision(3))).toEqual([
      '0.0100',
      '0.00200',
    ]);
  });

  test('gives a whole tensor one scale where the target has no other', () => {
    const { tensor, quant } = quantizeWeight(weight([2, 2], [1.27, -0.5, 0.02, 0.1]), {
      dtype: 'i8',
      granularity: 'tensor',
    });
    expect(readIntegers(tensor)).toEqual([127, -50, 2, 10]);
    expect(quant).toEqual({ per: 'tensor', scale: Math.fround(0.01), zeroPoint: 0 });
  });

  test('gives every 32 neighbours of a row a scale, and packs two 4-bit integers into a byte, the first one low', () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? (i % 15) - 7 : ((i % 15) - 7) / 100));
    const { tensor, quant } = quantizeWeight(tensorOf('f32', [1, 64], values), { dtype: 'i4', granularity: 'block' });
    expect(quant).toMatchObject({ per: 'block', axis: 1, size: 32 });
    expect(tensor.bytes()).toHaveLength(32);
    expect(tensor.bytes()[0]).toBe(0x09 | (0x0a << 4));
    const back = readF32(dequantized(tensor, quant));
    // Half a unit of f16's last place in seven steps of 1/100.
    expect(Math.max(...back.map((value, i) => Math.abs(value - (values[i] as number))))).toBeLessThan(7 * 2 ** -18);
  });

  test('gives blocks scales that f16 holds, also where all of a block is next to nothing', () => {
    const values = readF32(randomTensor({ dtype: 'f32', shape: [1, 96] }, 4)).map((value, i) =>
      i < 32 ? value : i < 64 ? value * 1e-6 : value * 1e-12,
    );
    const { quant } = quantizeWeight(tensorOf('f32', [1, 96], values), { dtype: 'i4', granularity: 'block' });
    const scales = quant.per === 'block' ? quant.scales : new Float32Array();
    expect(readF32(convertTensor(tensorOf('f32', [3], scales), 'f16'))).toEqual(scales);
    expect(Math.min(...scales)).toBe(2 ** -24);
  });

  test('is off by half a step at most', () => {
    const real = randomTensor({ dtype: 'f32', shape: [7, 33] }, 3);
    const { tensor, quant } = quantizeWeight(real, { dtype: 'i8' });
    const back = readF32(dequantized(tensor, quant));
    const scales = quant.per === 'channel' ? quant.scales : new Float32Array();
    readF32(real).forEach((value, i) => {
      expect(Math.abs(value - (back[i] as number))).toBeLessThanOrEqual(
        (scales[Math.floor(i / 33)] as number) * 0.5001,
      );
    });
  });

  test('keeps a lone large weight in 8 bits, whose steps are fine enough for the others', () => {
    const values = [1, ...Array.from({ length: 255 }, (_, i) => Math.sin(i) / 100)];
    const { quant } = quantizeWeight(weight([1, 256], values), { dtype: 'i8' });
    expect(quant).toMatchObject({ scales: Float32Array.of(1 / 127) });
  });

  test('clips a lone large weight in 4 bits where that lowers the squared error', () => {
    const values = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i * 12.9898) * 0.5);
    values[7] = 1;
    const { quant } = quantizeWeight(tensorOf('f32', [1, 256], values), { dtype: 'i4' });
    expect(quant.per === 'channel' && (quant.scales[0] as number) * 7).toBeLessThan(0.9);
  });

  test('stores a channel of zeros with a scale that is no zero', () => {
    const { tensor, quant } = quantizeWeight(weight([2, 2], [0, 0, 1.27, -1.27]), { dtype: 'i8' });
    expect(readIntegers(tensor)).toEqual([0, 0, 127, -127]);
    expect(quant.per === 'channel' && quant.scales[0]).toBe(Math.fround(0.01));
  });

  test('keeps scales above what a large bias needs', () => {
    const { quant } = quantizeWeight(weight([1, 2], [1e-9, -1e-9]), {
      dtype: 'i8',
      leastScales: Float64Array.of(1e-6),
    });
    expect(quant.per === 'channel' && quant.scales[0]).toBe(Math.fround(1e-6));
  });
});

test('ties go to the even integer, and what is too large to the largest', () => {
  const values = Float32Array.of(0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 300, -300);
  const found = roundToSteps(values, 9, { scales: Float32Array.of(1) }, [-127, 127]);
  expect(Array.from(found)).toEqual([0, 2, 2, 0, -2, -2, 126, 127, -127]);
});

test('each run of values has its own scale', () => {
  expect(
    Array.from(roundToSteps(Float32Array.of(1, 2, 3, 4), 2, { scales: Float32Array.of(1, 0.5) }, [-7, 7])),
  ).toEqual([1, 2, 6, 7]);
});

test('4-bit integers fill bytes from below; an odd last one stands alone', () => {
  const tensor = packIntegers('i4', [5], Int8Array.of(1, -1, 7, -7, 3));
  expect(Array.from(tensor.bytes())).toEqual([0xf1, 0x97, 0x03]);
  expect(readIntegers(tensor)).toEqual([1, -1, 7, -7, 3]);
});

describe('a scale for 4 bits', () => {
  const values = (seed: number) =>
    readF32(randomTensor({ dtype: 'f32', shape: [64] }, seed)).map((value) => value ** 3);
  const squaredError = (row: Float32Array, scale: number) => {
    const stored = roundToSteps(row, row.length, { scales: Float32Array.of(scale) }, [-7, 7]);
    return row.reduce((sum, value, i) => sum + (value - (stored[i] as number) * scale) ** 2, 0);
  };

  test('leaves no more error than any that clips up to two fifths of the largest weight', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const row = values(seed);
      const { quant } = quantizeWeight(tensorOf('f32', [1, 64], row), { dtype: 'i4' });
      const scale = quant.per === 'channel' ? (quant.scales[0] as number) : 0;
      const whole = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 7;
      expect(scale / whole).toBeGreaterThan(0.599);
      for (const share of [1, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76, 0.72, 0.68, 0.64, 0.6]) {
        expect(squaredError(row, scale)).toBeLessThanOrEqual(squaredError(row, share * whole) * (1 + 1e-5));
      }
    }
  });

  test('never makes an integer of -8', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { tensor } = quantizeWeight(tensorOf('f32', [1, 64], values(seed)), { dtype: 'i4' });
      expect(Math.min(...readIntegers(tensor))).toBeGreaterThanOrEqual(-7);
    }
  });
});

test('channels of zeros take the mean scale of the others', () => {
  const { quant } = quantizeWeight(weight([3, 2], [1.27, 0, 0, 0, 0, 3.81]), { dtype: 'i8' });
  expect(quant.per === 'channel' && quant.scales[1]).toBeCloseTo(0.02, 8);
  const all = quantizeWeight(weight([2, 2], [0, 0, 0, 0]), { dtype: 'i8' });
  expect(all.quant.per === 'channel' && Array.from(all.quant.scales)).toEqual([1, 1]);
});

test('a block is as long as is wanted or, where that does not divide the rows, half or a quarter of it', () => {
  const sizes = [
    [8, 256],
    [8, 192],
    [8, 96],
    [8, 48],
    [2, 256],
  ].map((shape) => blockSizeFor(shape, 128));
  expect(sizes).toEqual([128, 64, 32, undefined, undefined]);
});

test('forms of storage are told apart by all that makes them differ', () => {
  const forms = [
    { dtype: 'i8' },
    { dtype: 'i4' },
    { dtype: 'i4', granularity: 'block' },
    { dtype: 'i4', granularity: 'block', blockSize: 64 },
    { dtype: 'u4', granularity: 'block', blockSize: 64 },
  ] as const;
  expect(new Set(forms.map(storageKey)).size).toBe(forms.length);
  expect(storageKey({ dtype: 'i8', leastScales: Float64Array.of(1) })).toBe(storageKey({ dtype: 'i8' }));
});

describe('4 bits with zero points', () => {
  test('spread their 16 integers between the least and the largest value of a block, zero included', () => {
    // The whole range takes 15 steps of 0.1: from -0.3 to 1.2, and from 0 to 1.5 where nothing is negative.
    const values = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? (i % 16) - 3 : i % 16) / 10);
    const options = { dtype: 'u4', granularity: 'block' } as const;
    const { tensor, quant } = quantizeWeight(tensorOf('f32', [1, 64], values), options);
    if (quant.per !== 'block') throw new Error('it is not in blocks');
    expect(Array.from(quant.zeroPoints as Int32Array)).toEqual([3, 0]);
    expect(tensor.dtype).toBe('u4');
    expect(Array.from(readF32(tensor).subarray(0, 20))).toEqual([...Array(16).keys(), 0, 1, 2, 3]);
    readF32(dequantized(tensor, quant)).forEach((value, i) => {
      expect(Math.abs(value - (values[i] as number))).toBeLessThan(2e-3);
    });
  });

  test('leave a step to spare where the exact zero point is no integer and that is better', () => {
    // -1 to 13 in 15 steps has its zero at 1.07; in 14 steps of 1 every value is met.
    const values = Float32Array.from({ length: 32 }, (_, i) => (i % 15) - 1);
    const { tensor, quant } = quantizeWeight(tensorOf('f32', [1, 32], values), { dtype: 'u4', granularity: 'block' });
    expect(readF32(dequantized(tensor, quant))).toEqual(values);
  });

  test('make less error than symmetric ones, whatever the values', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: -1, max: 1, noNaN: true }), (seed, offset) => {
        const weight = randomTensor({ dtype: 'f32', shape: [4, 256] }, seed);
        const values = readF32(weight).map((value) => value + offset);
        const errors = (['u4', 'i4'] as const).map((dtype) => {
          const shifted = tensorOf('f32', [4, 256], values);
          const { tensor, quant } = quantizeWeight(shifted, { dtype, granularity: 'block' });
          const found = readF32(dequantized(tensor, quant));
          return found.reduce((sum, value, i) => sum + (value - (values[i] as number)) ** 2, 0);
        });
        expect(errors[0]).toBeLessThan(errors[1] as number);
      }),
      { numRuns: 20 },
    );
  });

  test('are 0 where all values are', () => {
    const zeros = tensorOf('f32', [1, 32], new Float32Array(32));
    const { tensor, quant } = quantizeWeight(zeros, { dtype: 'u4', granularity: 'block' });
    expect(readF32(dequantized(tensor, quant)).every((value) => value === 0)).toBe(true);
  });
});
