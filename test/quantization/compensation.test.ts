import { describe, expect, test } from 'vitest';
import { dequantized } from '../../src/ir/quantized.ts';
import { readF32, readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import {
  compensationOf,
  largestFirst,
  quantizeByGram,
  quantizeCompensated,
} from '../../src/quantization/compensation.ts';
import { type Granularity, type QuantizedWeight, quantizeWeight } from '../../src/quantization/weights.ts';
import { random, randomTensor } from '../core.ts';

/** Σ x xᵀ over vectors whose elements go together, and some of which are much larger than others. */
function correlatedGram(width: number, vectors: number, seed: number): Float64Array {
  const next = random(seed);
  const gram = new Float64Array(width * width);
  const loudness = Float64Array.from({ length: width }, () => 4 ** (2 * next() - 1));
  for (let n = 0; n < vectors; n++) {
    const shared = 2 * next() - 1;
    const x = loudness.map((loud) => loud * (shared + next() - 0.5));
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++)
        gram[i * width + j] = (gram[i * width + j] as number) + (x[i] as number) * (x[j] as number);
    }
  }
  return gram;
}

/** (w - ŵ)ᵀ G (w - ŵ) of each row. */
function lossesOf(weight: Tensor, { tensor, quant }: QuantizedWeight, gram: Float64Array): number[] {
  const width = Math.sqrt(gram.length);
  const real = readF32(weight);
  const errors = readF32(dequantized(tensor, quant)).map((value, i) => value - (real[i] as number));
  return Array.from({ length: errors.length / width }, (_, row) => {
    let loss = 0;
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) {
        loss +=
          (errors[row * width + i] as number) * (gram[i * width + j] as number) * (errors[row * width + j] as number);
      }
    }
    return loss;
  });
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('quantizeByGram', () => {
  // 1 and 7 are less than what is worked on at once, 130 more; 20 vectors leave most directions of the wide ones empty.
  test.each([1, 7, 32, 64, 130].flatMap((width) => (['i8', 'i4'] as const).map((dtype) => [width, dtype] as const)))(
    'each row of %i weights is the better of both: compensated, or rounded to the nearest, %s',
    (width, dtype) => {
      for (const [seed, vectors] of [
        [1, 3],
        [2, 20],
        [3, 300],
      ] as const) {
        const gram = correlatedGram(width, vectors, seed);
        const weight = randomTensor({ dtype: 'f32', shape: [11, width] }, seed + 10);
        const granularities: Granularity[] = width % 32 === 0 ? ['tensor', 'channel', 'block'] : ['tensor', 'channel'];
        for (const granularity of granularities) {
          const nearest = lossesOf(weight, quantizeWeight(weight, { dtype, granularity }), gram);
          const compensation = compensationOf(gram, largestFirst(gram));
          const compensated = lossesOf(weight, quantizeCompensated(weight, { dtype, granularity }, compensation), gram);
          const found = quantizeByGram(weight, { dtype, granularity }, compensation);
          lossesOf(weight, found, gram).forEach((loss, row) => {
            const better = Math.min(nearest[row] as number, compensated[row] as number);
            expect(loss).toBeLessThanOrEqual(better * (1 + 1e-6) + 1e-9);
          });
          for (const value of readIntegers(found.tensor))
            expect(Math.abs(value)).toBeLessThanOrEqual(dtype === 'i4' ? 7 : 127);
        }
      }
    },
  );

  test('and all rows together are far better off', () => {
    const gram = correlatedGram(64, 200, 5);
    const weight = randomTensor({ dtype: 'f32', shape: [32, 64] }, 6);
    for (const granularity of ['channel', 'block'] as const) {
      const nearest = sum(lossesOf(weight, quantizeWeight(weight, { dtype: 'i4', granularity }), gram));
      const found = quantizeByGram(weight, { dtype: 'i4', granularity }, compensationOf(gram, largestFirst(gram)));
      expect(sum(lossesOf(weight, found, gram))).toBeLessThan(nearest / 3);
    }
  });

  test('leaves the scales of plain rounding', () => {
    const weight = randomTensor({ dtype: 'f32', shape: [4, 64] }, 7);
    for (const granularity of ['tensor', 'channel', 'block'] as const) {
      const { quant } = quantizeByGram(weight, { dtype: 'i4', granularity }, compensationOf(correlatedGram(64, 9, 8)));
      expect(quant).toEqual(quantizeWeight(weight, { dtype: 'i4', granularity }).quant);
    }
  });
});

/** Rounding by elimination, as the paper that GPTQ comes from describes it (arXiv 2208.11580): it inverts the matrix and updates the inverse. */
function byElimination(weight: Tensor, gram: Float64Array, largest: number): number[] {
  const width = Math.sqrt(gram.length);
  const trace = sum(Array.from({ length: width }, (_, i) => gram[i * width + i] as number));
  const matrix = Array.from({ length: width }, (_, i) =>
    Array.from({ length: width }, (_, j) => (gram[i * width + j] as number) + (i === j ? (0.01 * trace) / width : 0)),
  );
  const real = readF32(weight);
  const { quant } = quantizeWeight(weight, { dtype: largest === 7 ? 'i4' : 'i8' });
  const scales = quant.per === 'channel' ? quant.scales : new Float32Array();
  const stored: number[] = [];
  for (let row = 0; row < real.length / width; row++) {
    const inverse = inverted(matrix);
    const rest = Array.from(real.subarray(row * width, (row + 1) * width));
    for (let k = 0; k < width; k++) {
      const scale = scales[row] as number;
      const value = Math.min(largest, Math.max(-largest, Math.round((rest[k] as number) / scale)));
      // Not -0.
      stored.push(value + 0);
      const pivot = inverse[k]?.[k] as number;
      const error = ((rest[k] as number) - value * scale) / pivot;
      const line = [...(inverse[k] as number[])];
      for (let j = k; j < width; j++) rest[j] = (rest[j] as number) - error * (line[j] as number);
      for (const other of inverse) {
        const factor = (other[k] as number) / pivot;
        for (let j = 0; j < width; j++) other[j] = (other[j] as number) - factor * (line[j] as number);
      }
    }
  }
  return stored;
}

/** Gauss-Jordan. */
function inverted(matrix: readonly (readonly number[])[]): number[][] {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let k = 0; k < size; k++) {
    const pivot = rows[k]?.[k] as number;
    rows[k] = (rows[k] as number[]).map((value) => value / pivot);
    for (let i = 0; i < size; i++) {
      const factor = rows[i]?.[k] as number;
      if (i !== k) rows[i] = (rows[i] as number[]).map((value, j) => value - factor * (rows[k]?.[j] as number));
    }
  }
  return rows.map((row) => row.slice(size));
}

describe('quantizeCompensated', () => {
  test.each([
    ['i8', 127],
    ['i4', 7],
  ] as const)('gives the integers of rounding by elimination, %s', (dtype, largest) => {
    for (const [width, seed] of [
      [5, 1],
      [24, 2],
      [70, 3],
    ] as const) {
      const gram = correlatedGram(width, 3 * width, seed);
      const weight = randomTensor({ dtype: 'f32', shape: [13, width] }, seed + 20);
      const { tensor } = quantizeCompensated(weight, { dtype }, compensationOf(gram));
      expect(readIntegers(tensor)).toEqual(byElimination(weight, gram, largest));
    }
  });
});

test('largestFirst sorts columns by what they carry, equal ones as they come', () => {
  const gram = new Float64Array(16);
  [2, 5, 2, 9].forEach((value, i) => {
    gram[i * 5] = value;
  });
  expect(Array.from(largestFirst(gram))).toEqual([3, 1, 0, 2]);
});
