import type { Matrix } from '../ir/text-runs.ts';

/** The mean of each column, in f32 as products subtract it. */
export function meanOf({ values, rows, columns }: Matrix): Float32Array {
  const sums = new Float64Array(columns);
  // Four rows at a time: the sums are read and written once for all of them.
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    const at = row * columns;
    for (let c = 0, i = at; c < columns; c++, i++) {
      sums[c] =
        (sums[c] as number) +
        (values[i] as number) +
        (values[i + columns] as number) +
        (values[i + 2 * columns] as number) +
        (values[i + 3 * columns] as number);
    }
  }
  for (let i = row * columns, c = 0; i < rows * columns; i++, c = c + 1 === columns ? 0 : c + 1) {
    sums[c] = (sums[c] as number) + (values[i] as number);
  }
  return Float32Array.from(sums, (sum) => sum / rows);
}

/** The sums over rows of z², z y and y² for each column, after the means are subtracted. */
export interface Sums {
  readonly zz: Float64Array;
  readonly zy: Float64Array;
  readonly yy: Float64Array;
}

/** Computes the sums over the rows at hand of z and y [rows, columns], whose means may be those of more rows. */
export function sumsOf(z: Matrix & { readonly mean: Float32Array }, y: typeof z): Sums {
  const { rows, columns } = z;
  const zz = new Float64Array(columns);
  const zy = new Float64Array(columns);
  const yy = new Float64Array(columns);
  for (let row = 0; row < rows; row += 4) {
    const at = row * columns;
    const more = Math.min(rows - row, 4) - 1;
    // Rows past the last are the last once more, with no weight.
    const [second, third, fourth] = [1, 2, 3].map((i) => Math.min(i, more) * columns) as [number, number, number];
    const [w1, w2, w3] = [1, 2, 3].map((i) => (i <= more ? 1 : 0)) as [number, number, number];
    for (let c = 0, i = at; c < columns; c++, i++) {
      const zMean = z.mean[c] as number;
      const yMean = y.mean[c] as number;
      const a0 = (z.values[i] as number) - zMean;
      const b0 = (y.values[i] as number) - yMean;
      const a1 = w1 * ((z.values[i + second] as number) - zMean);
      const b1 = w1 * ((y.values[i + second] as number) - yMean);
      const a2 = w2 * ((z.values[i + third] as number) - zMean);
      const b2 = w2 * ((y.values[i + third] as number) - yMean);
      const a3 = w3 * ((z.values[i + fourth] as number) - zMean);
      const b3 = w3 * ((y.values[i + fourth] as number) - yMean);
      zz[c] = (zz[c] as number) + a0 * a0 + a1 * a1 + a2 * a2 + a3 * a3;
      zy[c] = (zy[c] as number) + a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3;
      yy[c] = (yy[c] as number) + b0 * b0 + b1 * b1 + b2 * b2 + b3 * b3;
    }
  }
  return { zz, zy, yy };
}

/** The rows `from` to `to`, in the same memory. */
export function rowsBetween(matrix: Matrix, from: number, to: number): Matrix {
  const { values, columns, mean } = matrix;
  const part = { values: values.subarray(from * columns, to * columns), rows: to - from, columns };
  return mean ? { ...part, mean } : part;
}

/** Computes a + b, value by value. */
export function plus(a: Float64Array, b: Float64Array): Float64Array {
  const result = a.slice();
  for (let i = 0; i < b.length; i++) result[i] = (result[i] as number) + (b[i] as number);
  return result;
}

/** Takes columns of a matrix, in the order in which they are listed. */
export function columnsOf({ values, rows, columns: width }: Matrix, columns: ArrayLike<number>): Float32Array {
  const picked = new Float32Array(rows * columns.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = 0; i < columns.length; i++, at++) picked[at] = values[row * width + (columns[i] as number)] as number;
  }
  return picked;
}
