import type { Matrix } from '../calibration-runs.ts';

/** The places where `flags` is `wanted`. */
export function rowsWhere(flags: Uint8Array, wanted: number): Int32Array {
  const rows: number[] = [];
  for (let i = 0; i < flags.length; i++) if (flags[i] === wanted) rows.push(i);
  return Int32Array.from(rows);
}

/** The mean of each column. */
export function meanOf({ values, rows, columns }: Matrix): Float64Array {
  const sums = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++, at++) sums[c] = (sums[c] as number) + (values[at] as number);
  }
  for (let c = 0; c < columns; c++) sums[c] = (sums[c] as number) / rows;
  return sums;
}

/** Some rows, or all, minus the mean. */
export function centred(matrix: Matrix, mean: Float64Array, rows?: Int32Array): Matrix {
  const { values, columns } = matrix;
  const count = rows?.length ?? matrix.rows;
  const result = new Float32Array(count * columns);
  for (let r = 0, to = 0; r < count; r++) {
    const from = (rows ? (rows[r] as number) : r) * columns;
    for (let c = 0; c < columns; c++, to++) result[to] = (values[from + c] as number) - (mean[c] as number);
  }
  return { values: result, rows: count, columns };
}

/** a + b, value by value. */
export function plus(a: Float64Array, b: Float64Array): Float64Array {
  const result = a.slice();
  for (let i = 0; i < b.length; i++) result[i] = (result[i] as number) + (b[i] as number);
  return result;
}
