import type { Matrix } from '../calibration-runs.ts';

/** The places where `flags` is `wanted`. */
export function rowsWhere(flags: Uint8Array, wanted: number): Int32Array {
  const rows: number[] = [];
  for (let i = 0; i < flags.length; i++) if (flags[i] === wanted) rows.push(i);
  return Int32Array.from(rows);
}

/** The weighted mean of each column. */
export function meanOf({ values, rows, columns }: Matrix, weights: Float32Array): Float64Array {
  const sums = new Float64Array(columns);
  let total = 0;
  for (let row = 0, at = 0; row < rows; row++) {
    const weight = weights[row] as number;
    total += weight;
    for (let c = 0; c < columns; c++, at++) sums[c] = (sums[c] as number) + weight * (values[at] as number);
  }
  for (let c = 0; c < columns; c++) sums[c] = (sums[c] as number) / total;
  return sums;
}

/** Some rows minus the mean, times the root of their weights: sums of products are then weighted sums. Default: all, as they are. */
export function centred(matrix: Matrix, mean: Float64Array, weights?: Float32Array, rows?: Int32Array): Matrix {
  const { values, columns } = matrix;
  const count = rows?.length ?? matrix.rows;
  const result = new Float32Array(count * columns);
  for (let r = 0, to = 0; r < count; r++) {
    const row = rows ? (rows[r] as number) : r;
    const scale = weights ? Math.sqrt(weights[row] as number) : 1;
    const from = row * columns;
    for (let c = 0; c < columns; c++, to++) result[to] = scale * ((values[from + c] as number) - (mean[c] as number));
  }
  return { values: result, rows: count, columns };
}
