import { describe, expect, test } from 'vitest';
import { dequantized } from '../../src/ir/quantized.ts';
import { readF32, tensorOf } from '../../src/ir/tensor.ts';
import type { Matrix } from '../../src/ir/text-runs.ts';
import { compensationOf, largestFirst, quantizeByGram } from '../../src/quantization/compensation.ts';
import { refitLinear } from '../../src/quantization/refit-linear.ts';
import { randomTensor } from '../core.ts';
import { runs } from '../solve/matrices.ts';

const I8 = { options: { dtype: 'i8' }, isCompensated: false } as const;

/** Rows e_1, -e_1, e_2, -e_2, … moved by `mean`: the columns' variances are equal, and they do not go together. */
function crosses(width: number, mean: readonly number[]): Matrix {
  const rows = 2 * width;
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      const own = i === row >> 1 ? 1 - 2 * (row & 1) : 0;
      values[row * width + i] = own + (mean[i] as number);
    }
  }
  return { values, rows, columns: width };
}

/** W x + c for each row of x. */
function linear(x: Matrix, weight: ArrayLike<number>, bias: ArrayLike<number>): Float32Array {
  const out = bias.length;
  const values = new Float32Array(x.rows * out);
  for (let row = 0; row < x.rows; row++) {
    for (let o = 0; o < out; o++) {
      let sum = bias[o] as number;
      for (let i = 0; i < x.columns; i++) {
        sum += (weight[o * x.columns + i] as number) * (x.values[row * x.columns + i] as number);
      }
      values[row * out + o] = sum;
    }
  }
  return values;
}

describe('refitLinear', () => {
  const weight = tensorOf('f32', [2, 2], Float32Array.of(1, -0.5, 0.25, 2));
  const x = crosses(2, [3, -1]);

  test('a weight makes up for half of what is missing, as the ridge is as large as the variances', async () => {
    // The float model has half of W x and 5 more.
    const missing = {
      values: linear(
        x,
        readF32(weight).map((value) => -value / 2),
        [5, 5],
      ),
      rows: 4,
      columns: 2,
    };
    const refitted = await refitLinear({ weight, bias: undefined, x, missing }, I8, runs);
    const real = readF32(dequantized(refitted.weight.tensor, refitted.weight.quant));
    for (const [i, value] of readF32(weight).entries()) expect(real[i]).toBeCloseTo(0.75 * value, 2);
  });

  test('a bias makes the means equal, whatever rounding does to the weight', async () => {
    const bias = tensorOf('f32', [2], Float32Array.of(0.5, -7));
    const missing = { values: linear(x, [0.2, 0.1, 0, -0.3], [4, -2]), rows: 4, columns: 2 };
    const how = { options: { dtype: 'i4' }, isCompensated: false } as const;
    const refitted = await refitLinear({ weight, bias, x, missing }, how, runs);
    const real = readF32(dequantized(refitted.weight.tensor, refitted.weight.quant));
    const before = linear(x, readF32(weight), readF32(bias));
    const after = linear(x, real, readF32(refitted.bias));
    for (const channel of [0, 1]) {
      let difference = 0;
      for (let at = channel; at < after.length; at += 2) {
        difference += (before[at] as number) + (missing.values[at] as number) - (after[at] as number);
      }
      expect(difference).toBeCloseTo(0, 4);
    }
  });

  test('a weight whose result is not compared is rounded as what it reads says, and keeps what it computes', async () => {
    const wide = randomTensor({ dtype: 'f32', shape: [3, 8] }, 4);
    const values = readF32(randomTensor({ dtype: 'f32', shape: [40, 8] }, 5));
    const read = { values, rows: 40, columns: 8 };
    const how = { options: { dtype: 'i4' }, isCompensated: true } as const;
    const refitted = await refitLinear({ weight: wide, bias: undefined, x: read, missing: undefined }, how, runs);
    const mean = Float32Array.from({ length: 8 }, (_, i) => {
      let sum = 0;
      for (let at = i; at < values.length; at += 8) sum += values[at] as number;
      return sum / 40;
    });
    const gram = await runs.product({ ...read, mean }, { ...read, mean });
    const expected = quantizeByGram(wide, how.options, compensationOf(gram, largestFirst(gram)));
    expect(readF32(refitted.weight.tensor)).toEqual(readF32(expected.tensor));
  });
});
