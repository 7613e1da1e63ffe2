/** Computes A Bᵀ [a rows, b rows] for matrices of `size` columns. */
export function timesTransposed(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const [rows, columns] = [a.length / size, b.length / size];
  const result = new Float64Array(rows * columns);
  for (let r = 0, to = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, to++) {
      let sum = 0;
      for (let i = 0, x = r * size, y = c * size; i < size; i++, x++, y++) sum += (a[x] as number) * (b[y] as number);
      result[to] = sum;
    }
  }
  return result;
}

/** Computes A B [a rows, columns] for A [rows, inner] and B [inner, columns]. */
export function times(a: Float64Array, b: Float64Array, inner: number): Float64Array {
  const [rows, columns] = [a.length / inner, b.length / inner];
  const result = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < inner; i++) {
      const value = a[r * inner + i] as number;
      if (value === 0) continue;
      for (let c = 0, from = i * columns, to = r * columns; c < columns; c++, from++, to++) {
        result[to] = (result[to] as number) + value * (b[from] as number);
      }
    }
  }
  return result;
}

/** Transposes a matrix with `columns` columns. */
export function turned(matrix: Float64Array, columns: number): Float64Array {
  const rows = matrix.length / columns;
  const result = new Float64Array(matrix.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = matrix[r * columns + c] as number;
  }
  return result;
}

/** Computes a - b, value by value. */
export function minus(a: Float64Array, b: Float64Array): Float64Array {
  const result = a.slice();
  for (let i = 0; i < b.length; i++) result[i] = (result[i] as number) - (b[i] as number);
  return result;
}

/** Takes the columns `from` to `to` of a matrix [rows, width]. */
export function columnRange(matrix: Float64Array, width: number, from: number, to: number): Float64Array {
  const size = to - from;
  const rows = matrix.length / width;
  const part = new Float64Array(rows * size);
  for (let row = 0; row < rows; row++) part.set(matrix.subarray(row * width + from, row * width + to), row * size);
  return part;
}

/** Puts a matrix with `inner` columns at a place of a larger one of zeros, [rows, columns]. */
export function placed(
  matrix: Float64Array,
  inner: number,
  at: { readonly rows: number; readonly columns: number; readonly row: number; readonly column: number },
): Float64Array {
  const result = new Float64Array(at.rows * at.columns);
  for (let r = 0; r * inner < matrix.length; r++) {
    result.set(matrix.subarray(r * inner, (r + 1) * inner), (at.row + r) * at.columns + at.column);
  }
  return result;
}

/** Puts the columns of two matrices side by side. */
export function beside(a: Float64Array, columnsA: number, b: Float64Array, columnsB: number): Float64Array {
  const rows = a.length / columnsA;
  const columns = columnsA + columnsB;
  const result = placed(a, columnsA, { rows, columns, row: 0, column: 0 });
  for (let r = 0; r < rows; r++) result.set(b.subarray(r * columnsB, (r + 1) * columnsB), r * columns + columnsA);
  return result;
}

/** Puts the rows of two matrices of one width below one another. */
export function stacked(a: Float64Array, b: Float64Array): Float64Array {
  const result = new Float64Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}
