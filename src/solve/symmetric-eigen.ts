import { MbertError } from '../errors.ts';

/** The eigenvalues of a symmetric matrix, largest first, with their vectors. */
export interface Eigen {
  readonly values: Float64Array;
  /** The eigenvectors [size, size]: row i is the unit vector of values[i]. */
  readonly vectors: Float64Array;
}

/**
 * The limit of steps for one eigenvalue. Each takes two or three; one that takes so many will never come (EISPACK gives
 * up at 30).
 */
const MAX_STEPS = 60;

/**
 * The steps in which an eigenvalue is found to its own precision. Where eigenvalues are nothing but the rounding noise of
 * larger ones, as in a matrix of low rank, that has no end: after so many steps the precision of the matrix is enough.
 */
const PATIENT_STEPS = 10;

/**
 * Computes all eigenvalues and vectors of a symmetric matrix [size, size] in f64: Householder reflections make it
 * tridiagonal, implicit QL steps with Wilkinson's shift make that diagonal (Golub and Van Loan, Matrix Computations,
 * 8.3). Takes about 10·size³ operations. Only the lower triangle is read. Throws INVALID_GRAPH where the matrix has
 * infinities or NaN.
 */
export function symmetricEigen(matrix: Float64Array, size: number): Eigen {
  const form = tridiagonal(matrix, size);
  const { diagonal, vectors } = form;
  const norm = diagonal.reduce((most, value, i) => Math.max(most, Math.abs(value) + Math.abs(form.beside[i] ?? 0)), 0);
  for (let first = 0; first < size; first++) isolate(form, first, norm);
  const order = Array.from({ length: size }, (_, i) => i).sort(
    (a, b) => (diagonal[b] as number) - (diagonal[a] as number),
  );
  const sorted = new Float64Array(size * size);
  order.forEach((from, to) => {
    sorted.set(vectors.subarray(from * size, (from + 1) * size), to * size);
  });
  return { values: Float64Array.from(order, (i) => diagonal[i] as number), vectors: sorted };
}

/** The tridiagonal form T of a symmetric matrix A = Q T Qᵀ. */
interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** The entries beside the diagonal: beside[i] is T[i + 1, i]; the last entry is 0. */
  readonly beside: Float64Array;
  /** The matrix Qᵀ: row i is column i of Q. */
  readonly vectors: Float64Array;
}

/**
 * Brings a matrix to tridiagonal form, column after column: I - 2 v vᵀ maps what is below the subdiagonal to zero, and
 * the columns to come change from A to A - 2 v wᵀ - 2 w vᵀ.
 */
function tridiagonal(matrix: Float64Array, size: number): Tridiagonal {
  const a = matrix.slice();
  const diagonal = new Float64Array(size);
  const beside = new Float64Array(size);
  /** The unit vectors v, row k for column k; zeros where nothing was below the subdiagonal. */
  const reflections = new Float64Array(size * size);
  const w = new Float64Array(size);
  for (let k = 0; k < size; k++) {
    diagonal[k] = a[k * size + k] as number;
    if (k === size - 1) break;
    const v = reflections.subarray(k * size, (k + 1) * size);
    for (let i = k + 1; i < size; i++) v[i] = a[i * size + k] as number;
    const head = v[k + 1] as number;
    const norm = normOf(v, k + 1);
    if (norm === 0) continue;
    // The sign that adds up: the other one would subtract two numbers that may be nearly equal.
    beside[k] = head > 0 ? -norm : norm;
    v[k + 1] = head - (beside[k] as number);
    scale(v, k + 1, 1 / normOf(v, k + 1));
    timesLower(a, k + 1, v, w);
    let along = 0;
    for (let i = k + 1; i < size; i++) along += (v[i] as number) * (w[i] as number);
    for (let i = k + 1; i < size; i++) w[i] = (w[i] as number) - along * (v[i] as number);
    for (let i = k + 1; i < size; i++) {
      const [vi, wi] = [2 * (v[i] as number), 2 * (w[i] as number)];
      const at = i * size;
      for (let j = k + 1; j <= i; j++)
        a[at + j] = (a[at + j] as number) - vi * (w[j] as number) - wi * (v[j] as number);
    }
  }
  return { diagonal, beside, vectors: productOf(reflections, size) };
}

function normOf(values: Float64Array, from: number): number {
  let largest = 0;
  for (let i = from; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
  if (largest === 0) return 0;
  if (!Number.isFinite(largest)) throw new MbertError('INVALID_GRAPH', 'eigenvalues: the matrix is not finite');
  let sum = 0;
  for (let i = from; i < values.length; i++) sum += ((values[i] as number) / largest) ** 2;
  return largest * Math.sqrt(sum);
}

function scale(values: Float64Array, from: number, factor: number): void {
  for (let i = from; i < values.length; i++) values[i] = (values[i] as number) * factor;
}

/**
 * Computes w = A v on rows and columns from `from` on; each entry of the lower triangle is read once and stands for
 * two.
 */
function timesLower(a: Float64Array, from: number, v: Float64Array, w: Float64Array): void {
  const size = v.length;
  w.fill(0);
  for (let i = from; i < size; i++) {
    const at = i * size;
    const vi = v[i] as number;
    let sum = 0;
    for (let j = from; j < i; j++) {
      const value = a[at + j] as number;
      sum += value * (v[j] as number);
      w[j] = (w[j] as number) + value * vi;
    }
    w[i] = (w[i] as number) + sum + (a[at + i] as number) * vi;
  }
}

/**
 * Computes Qᵀ of Q = H₀ H₁ …: the reflections applied to the unit vectors, the last one first, so that zeros stay out
 * of the work.
 */
function productOf(reflections: Float64Array, size: number): Float64Array {
  const rows = new Float64Array(size * size);
  for (let i = 0; i < size; i++) rows[i * size + i] = 1;
  for (let k = size - 2; k >= 0; k--) {
    const v = k * size;
    for (let row = k + 1; row < size; row++) {
      const at = row * size;
      let sum = 0;
      for (let i = k + 1; i < size; i++) sum += (reflections[v + i] as number) * (rows[at + i] as number);
      if (sum === 0) continue;
      for (let i = k + 1; i < size; i++)
        rows[at + i] = (rows[at + i] as number) - 2 * sum * (reflections[v + i] as number);
    }
  }
  return rows;
}

/** Takes QL steps on the block that begins at `first` until `first` is a block of its own. */
function isolate(form: Tridiagonal, first: number, norm: number): void {
  for (let step = 0; ; step++) {
    const last = endOfBlock(form, first, step < PATIENT_STEPS ? 0 : norm);
    if (last === first) return;
    if (step === MAX_STEPS)
      throw new MbertError('INVALID_GRAPH', 'eigenvalues: no convergence: the matrix is not finite');
    stepQl(form, first, last);
  }
}

/**
 * The last index of the block from `first` on: after it the subdiagonal is rounding noise beside its neighbours, or beside
 * `least`.
 */
function endOfBlock({ diagonal, beside }: Tridiagonal, first: number, least: number): number {
  let last = first;
  for (; last < diagonal.length - 1; last++) {
    const around = Math.abs(diagonal[last] as number) + Math.abs(diagonal[last + 1] as number);
    if (Math.abs(beside[last] as number) <= Number.EPSILON * Math.max(around, least)) break;
  }
  return last;
}

/**
 * Takes one implicit QL step with Wilkinson's shift on the block first … last: rotations chase the bulge from its end
 * to its start.
 */
function stepQl({ diagonal, beside, vectors }: Tridiagonal, first: number, last: number): void {
  const size = diagonal.length;
  const vector = (i: number) => vectors.subarray(i * size, (i + 1) * size);
  const start = diagonal[first] as number;
  const below = beside[first] as number;
  const half = ((diagonal[first + 1] as number) - start) / (2 * below);
  const shift = start - below / (half + (half >= 0 ? 1 : -1) * Math.hypot(half, 1));
  let g = (diagonal[last] as number) - shift;
  let [sine, cosine, taken] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const f = sine * (beside[i] as number);
    const b = cosine * (beside[i] as number);
    const length = Math.hypot(f, g);
    beside[i + 1] = length;
    if (length === 0) {
      // The block has come apart inside the step: the rotations so far hold, the rows before need a step of their own.
      diagonal[i + 1] = (diagonal[i + 1] as number) - taken;
      beside[last] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    const moved = (diagonal[i + 1] as number) - taken;
    const mixed = ((diagonal[i] as number) - moved) * sine + 2 * cosine * b;
    taken = sine * mixed;
    diagonal[i + 1] = moved + taken;
    g = cosine * mixed - b;
    rotate(vector(i), vector(i + 1), cosine, sine);
  }
  diagonal[first] = (diagonal[first] as number) - taken;
  beside[first] = g;
  beside[last] = 0;
}

/** Rotates rows x and y to c x - s y and s x + c y. */
function rotate(xs: Float64Array, ys: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i] as number;
    const y = ys[i] as number;
    ys[i] = sine * x + cosine * y;
    xs[i] = cosine * x - sine * y;
  }
}
