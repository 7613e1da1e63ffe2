import { defineOp, invalid, isFloat } from '../op.ts';
import { type Dim, sameShape, shapeText, sizeOf } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/**
 * Number of sums that are formed side by side: one alone waits for each of its additions, which takes three times as
 * long.
 */
const LANES = 4;

/**
 * Adds x·w[o], …, x·w[o + 3] to the sums, each from its first product to its last; the last row stands for those beyond
 * it.
 */
function addProducts(sums: Float64Array, x: Float32Array, w: Float32Array, o: number): void {
  const width = x.length;
  const start = (lane: number) => Math.min((o + lane) * width, w.length - width);
  const [a, b, c, d] = [start(0), start(1), start(2), start(3)];
  let [first, second, third, fourth] = sums as unknown as [number, number, number, number];
  for (let i = 0; i < width; i++) {
    const value = x[i] as number;
    first += value * (w[a + i] as number);
    second += value * (w[b + i] as number);
    third += value * (w[c + i] as number);
    fourth += value * (w[d + i] as number);
  }
  sums.set([first, second, third, fourth]);
}

/** activation(x Wᵀ + b) on the last axis: x [..., in], weight [out, in], bias [out]; activation `none` or `relu`. */
export const linear = defineOp({
  inputs: ['x', 'weight', 'bias?'],
  attrs: { activation: 'none' as 'none' | 'relu' },
  tokens: 'first-input',
  stream: 'affine',
  int8: 'calibrated',
  terms: ({ weight }) => weight.shape[1] as Dim,
  infer({ x, weight, bias }) {
    const [out, width] = weight.shape;
    if (!isFloat(x.dtype) || !isFloat(weight.dtype)) invalid(`linear of ${x.dtype} and ${weight.dtype}, takes floats`);
    if (weight.shape.length !== 2 || x.shape.length === 0 || x.shape.at(-1) !== width || out === undefined) {
      invalid(`linear of ${shapeText(x.shape)} with weight ${shapeText(weight.shape)}`);
    }
    if (bias && !sameShape(bias.shape, [out])) invalid(`linear with ${out} outputs and bias ${shapeText(bias.shape)}`);
    return { dtype: 'f32', shape: [...x.shape.slice(0, -1), out] };
  },
  evaluate({ x, weight, bias }, { activation }) {
    const [out, width] = weight.shape as readonly [number, number];
    const source = readF32(x);
    const w = readF32(weight);
    const b = bias && readF32(bias);
    const rows = sizeOf(x.shape) / width;
    const values = new Float32Array(rows * out);
    const sums = new Float64Array(LANES);
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < out; o += LANES) {
        for (let lane = 0; lane < LANES; lane++) sums[lane] = b?.[o + lane] ?? 0;
        addProducts(sums, source.subarray(row * width, (row + 1) * width), w, o);
        for (let lane = 0; lane < LANES && o + lane < out; lane++) {
          const sum = sums[lane] as number;
          values[row * out + o + lane] = activation === 'relu' && sum < 0 ? 0 : sum;
        }
      }
    }
    return tensorOf('f32', [...x.shape.slice(0, -1), out], values);
  },
});
