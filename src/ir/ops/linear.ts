import { defineOp, invalid, isFloat } from '../op.ts';
import { type Dim, sameShape, shapeText, sizeOf } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/**
 * Outputs whose sums are formed side by side, for two rows at a time: one sum alone waits for each of its additions, and
 * what is read serves several.
 */
const LANES = 4;

/**
 * Adds x·w[o], …, x·w[o + 3] to the first four sums and y·w[o], …, y·w[o + 3] to the others, each from its first product
 * to its last; the last row of w stands for those beyond it.
 */
function addProducts(sums: Float64Array, x: Float32Array, y: Float32Array, w: Float32Array, o: number): void {
  const width = x.length;
  const start = (lane: number) => Math.min((o + lane) * width, w.length - width);
  const [a, b, c, d] = [start(0), start(1), start(2), start(3)];
  let [x0, x1, x2, x3, y0, y1, y2, y3] = sums as unknown as Sums;
  for (let i = 0; i < width; i++) {
    const first = x[i] as number;
    const second = y[i] as number;
    const wa = w[a + i] as number;
    const wb = w[b + i] as number;
    const wc = w[c + i] as number;
    const wd = w[d + i] as number;
    x0 += first * wa;
    x1 += first * wb;
    x2 += first * wc;
    x3 += first * wd;
    y0 += second * wa;
    y1 += second * wb;
    y2 += second * wc;
    y3 += second * wd;
  }
  sums.set([x0, x1, x2, x3, y0, y1, y2, y3]);
}

type Sums = [number, number, number, number, number, number, number, number];

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
    const sums = new Float64Array(2 * LANES);
    const rowOf = (row: number) => source.subarray(row * width, (row + 1) * width);
    for (let row = 0; row < rows; row += 2) {
      const pair = Math.min(2, rows - row);
      const [first, second] = [rowOf(row), rowOf(row + pair - 1)];
      for (let o = 0; o < out; o += LANES) {
        for (let lane = 0; lane < 2 * LANES; lane++) sums[lane] = b?.[o + (lane % LANES)] ?? 0;
        addProducts(sums, first, second, w, o);
        const lanes = Math.min(LANES, out - o);
        for (let at = 0; at < pair * lanes; at++) {
          const [r, lane] = [Math.floor(at / lanes), at % lanes];
          const sum = sums[r * LANES + lane] as number;
          values[(row + r) * out + o + lane] = activation === 'relu' && sum < 0 ? 0 : sum;
        }
      }
    }
    return tensorOf('f32', [...x.shape.slice(0, -1), out], values);
  },
});
