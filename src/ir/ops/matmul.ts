import { defineOp, invalid, isFloat } from '../op.ts';
import { broadcast, type Dim, shapeText, sizeOf } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';
import { broadcastIndices } from './elementwise.ts';

/**
 * a b, or a bᵀ with `transposeB`, on the last two axes; leading axes broadcast. a [..., n, k], b [..., k, m] or [...,
 * m, k].
 */
export const matmul = defineOp({
  inputs: ['a', 'b'],
  attrs: { transposeB: false as boolean },
  tokens: 'mixed',
  stream: 'fixed',
  int8: 'calibrated',
  terms: ({ a }) => a.shape.at(-1) as Dim,
  infer({ a, b }, { transposeB }) {
    const [rows, inner] = a.shape.slice(-2);
    const [columns, innerB] = transposeB ? b.shape.slice(-2) : b.shape.slice(-2).reverse();
    const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (!isFloat(a.dtype) || !isFloat(b.dtype)) invalid(`matmul of ${a.dtype} and ${b.dtype}, takes floats`);
    if (
      a.shape.length < 2 ||
      a.shape.length !== b.shape.length ||
      !lead ||
      inner !== innerB ||
      rows === undefined ||
      columns === undefined
    ) {
      invalid(`matmul of ${shapeText(a.shape)} and ${shapeText(b.shape)}${transposeB ? ' transposed' : ''}`);
    }
    return { dtype: 'f32', shape: [...lead, rows, columns] };
  },
  evaluate({ a, b }, { transposeB }) {
    const [rows, inner] = a.shape.slice(-2) as [number, number];
    const columns = b.shape.at(transposeB ? -2 : -1) as number;
    const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)) as readonly number[];
    const batches = sizeOf(lead);
    const x = readF32(a);
    const y = readF32(b);
    const xAt = broadcastIndices(a.shape.slice(0, -2), lead);
    const yAt = broadcastIndices(b.shape.slice(0, -2), lead);
    const values = new Float32Array(batches * rows * columns);
    const [stepInner, stepColumn] = transposeB ? [1, inner] : [columns, 1];
    for (let batch = 0; batch < batches; batch++) {
      const xFrom = (xAt?.[batch] ?? batch) * rows * inner;
      const yFrom = (yAt?.[batch] ?? batch) * inner * columns;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let i = 0; i < inner; i++) {
            sum += (x[xFrom + row * inner + i] as number) * (y[yFrom + i * stepInner + column * stepColumn] as number);
          }
          values[(batch * rows + row) * columns + column] = sum;
        }
      }
    }
    return tensorOf('f32', [...lead, rows, columns], values);
  },
});
