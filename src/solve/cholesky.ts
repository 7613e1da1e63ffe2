import { subtractRows } from './subtract-rows.ts';

/**
 * The smallest pivot, as a share of its diagonal entry: a smaller one is rounding noise of a row that depends on the
 * rows before it.
 */
const MIN_PIVOT = 1e-12;

/** The number of rows and columns that are worked on at once, so that they stay in the cache. */
const BLOCK = 64;

/**
 * Factors a symmetric positive semi-definite matrix A [size, size] in place into its lower triangle L, A = L Lᵀ; the
 * upper triangle means nothing afterwards. A row that depends on those before it, or is zero, gets a zero pivot:
 * `solveCholesky` gives its unknown the value 0. Returns the rank.
 */
export function factorCholesky(matrix: Float64Array, size: number): number {
  const diagonal = new Float64Array(size);
  for (let i = 0; i < size; i++) diagonal[i] = matrix[i * size + i] as number;
  let rank = 0;
  for (let start = 0; start < size; start += BLOCK) {
    const end = Math.min(start + BLOCK, size);
    for (let column = start; column < end; column++) {
      const at = column * size;
      const square = (matrix[at + column] as number) - dot(matrix, at + start, matrix, at + start, column - start);
      const isFree = square > MIN_PIVOT * (diagonal[column] as number);
      const pivot = isFree ? Math.sqrt(square) : 0;
      const factor = isFree ? 1 / pivot : 0;
      matrix[at + column] = pivot;
      if (isFree) rank++;
      for (let row = column + 1; row < size; row++) {
        const to = row * size;
        const rest = (matrix[to + column] as number) - dot(matrix, to + start, matrix, at + start, column - start);
        matrix[to + column] = rest * factor;
      }
    }
    subtractProducts(matrix, size, start, end);
  }
  return rank;
}

/**
 * Computes A[r, c] -= L[r, start:end] · L[c, start:end] for end ≤ c ≤ r: two rows and two columns at a time share what
 * they read.
 */
function subtractProducts(matrix: Float64Array, size: number, start: number, end: number): void {
  for (let row = end; row < size; row += 2) {
    const r0 = row * size;
    const r1 = row + 1 < size ? r0 + size : r0;
    for (let column = end; column <= row + 1 && column < size; column += 2) {
      const c0 = column * size;
      const c1 = column + 1 < size ? c0 + size : c0;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      for (let i = start; i < end; i++) {
        const a = matrix[r0 + i] as number;
        const b = matrix[r1 + i] as number;
        const c = matrix[c0 + i] as number;
        const d = matrix[c1 + i] as number;
        s00 += a * c;
        s01 += a * d;
        s10 += b * c;
        s11 += b * d;
      }
      matrix[r0 + column] = (matrix[r0 + column] as number) - s00;
      if (c1 !== c0) matrix[r0 + column + 1] = (matrix[r0 + column + 1] as number) - s01;
      if (r1 === r0) continue;
      matrix[r1 + column] = (matrix[r1 + column] as number) - s10;
      if (c1 !== c0) matrix[r1 + column + 1] = (matrix[r1 + column + 1] as number) - s11;
    }
  }
}

/** The number of right-hand sides that are solved at once, so that their unknowns stay in the cache. */
const SIDES = 64;

/**
 * Solves L Lᵀ X = B for the factor of `factorCholesky`. `sides` holds B transposed, [columns, size], one right-hand
 * side after the other, and gets X in its place.
 */
export function solveCholesky(factor: Float64Array, size: number, sides: Float64Array): void {
  const turned = transposed(factor, size, size);
  for (let at = 0; at < sides.length; at += SIDES * size) {
    const some = sides.subarray(at, at + SIDES * size);
    const count = some.length / size;
    // [size, columns]: a row of all sides side by side, so that one number of the factor serves all of them in turn.
    const x = transposed(some, count, size);
    substitute({ x, count, factor, size }, turned, 0);
    some.set(transposed(x, size, count));
  }
}

/**
 * Computes (L Lᵀ)⁻¹ [size, size] for the factor of `factorCholesky`. Rows and columns of zero pivots are zero. The column
 * of a row needs no unknowns above it, as the inverse is symmetric, and those are zero until the way back.
 */
export function invertCholesky(factor: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size);
  const turned = transposed(factor, size, size);
  for (let from = 0; from < size; from += SIDES) {
    const count = Math.min(SIDES, size - from);
    const x = new Float64Array(size * count);
    for (let i = 0; i < count; i++) x[(from + i) * count + i] = 1;
    substitute({ x, count, factor, size }, turned, from);
    for (let row = from; row < size; row++) {
      for (let i = 0; i < count && from + i <= row; i++) {
        const value = x[row * count + i] as number;
        inverse[row * size + from + i] = value;
        inverse[(from + i) * size + row] = value;
      }
    }
  }
  return inverse;
}

/** Solves L Lᵀ X = B from a row on, in place; the rows before it are zero in B and are left so. `turned` is Lᵀ. */
function substitute(forward: Substitution, turned: Float64Array, first: number): void {
  const { x, count, factor, size } = forward;
  const backward: Substitution = { ...forward, factor: turned };
  // Two rows at a time share what they read of the others.
  for (let row = first; row < size; row += 2) {
    const next = row + 1 < size ? row + 1 : row;
    if (next > row) subtractFromTwo(forward, [row, next], [first, row]);
    else subtractFrom(forward, row, [first, row]);
    divideRow(x, count, row, factor[row * size + row] as number);
    if (next === row) break;
    subtractFrom(forward, next, [row, next]);
    divideRow(x, count, next, factor[next * size + next] as number);
  }
  for (let row = size - 1; row >= first; row -= 2) {
    const next = row > first ? row - 1 : row;
    if (next < row) subtractFromTwo(backward, [row, next], [row + 1, size]);
    else subtractFrom(backward, row, [row + 1, size]);
    divideRow(x, count, row, factor[row * size + row] as number);
    if (next === row) break;
    subtractFrom(backward, next, [row, row + 1]);
    divideRow(x, count, next, factor[next * size + next] as number);
  }
}

/** Unknowns X [size, count] and the triangle [size, size] that they are solved by. */
interface Substitution {
  readonly x: Float64Array;
  readonly count: number;
  readonly factor: Float64Array;
  readonly size: number;
}

/** The indices from ≤ i < to. */
type Span = readonly [from: number, to: number];

/** Computes X[row] -= Σ factor[row, i] X[i] over a span for two rows. */
function subtractFromTwo(
  { x, count, factor, size }: Substitution,
  rows: readonly [number, number],
  [from, to]: Span,
): void {
  const [first, second] = rows;
  const places = { firstAt: first * size + from, secondAt: second * size + from };
  subtractRows(x, count, { first, second, from, count: to - from, multiples: factor, ...places }, count);
}

/** Computes X[row] -= Σ factor[row, i] X[i] over a span. */
function subtractFrom({ x, count, factor, size }: Substitution, row: number, [from, to]: Span): void {
  const target = row * count;
  for (let i = from; i < to; i++) {
    const a = factor[row * size + i] as number;
    const source = i * count;
    for (let s = 0; s < count; s++) x[target + s] = (x[target + s] as number) - a * (x[source + s] as number);
  }
}

function divideRow(x: Float64Array, count: number, row: number, pivot: number): void {
  const factor = pivot > 0 ? 1 / pivot : 0;
  for (let s = row * count; s < (row + 1) * count; s++) x[s] = (x[s] as number) * factor;
}

function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) result[column * rows + row] = values[at] as number;
  }
  return result;
}

function dot(left: Float64Array, a: number, right: Float64Array, b: number, length: number): number {
  let even = 0;
  let odd = 0;
  let i = 0;
  for (; i + 1 < length; i += 2) {
    even += (left[a + i] as number) * (right[b + i] as number);
    odd += (left[a + i + 1] as number) * (right[b + i + 1] as number);
  }
  return i < length ? even + odd + (left[a + i] as number) * (right[b + i] as number) : even + odd;
}
