import type { Heads, Matrix, ScorePairs, Segment, TextMatrix, TextRuns } from '../ir/text-runs.ts';
import { factorCholesky, solveCholesky } from './cholesky.ts';
import type { Features } from './features.ts';
import { rowsBetween } from './rows.ts';

/** The problem of changing a query's linear so that attention looks where the teacher's does. */
export interface ScoresProblem {
  /** The linear's input [rows, in]; rows that are not fitted to choose how far to go. */
  readonly features: Features;
  readonly student: Heads;
  readonly teacher: Heads;
  /** The exponent of 10 that regularizes (`ridgeOf` of the features). */
  readonly ridge: number;
}

/** The solution of a `ScoresProblem`. */
export interface ScoresFit {
  /** The matrix to be added to the weight [heads · size, in]. */
  readonly change: Float64Array;
  /** The vector to be added to the bias [heads · size]. */
  readonly offset: Float64Array;
}

type ScoresRuns = Pick<TextRuns, 'product' | 'rowsTimes' | 'scorePairs'>;

/** The limit of preconditioned steps: in trained models the held-out error stands still after four or five. */
const MAX_STEPS = 6;

/** The least share of the held-out error that a step must gain for another to follow. */
const LEAST_GAIN = 1e-2;

/** The limit of pairs of tokens, times heads, that are compared: 8 bytes each. */
const MAX_PAIRS = 1 << 23;

/** The share of a head's mean curvature that is added in all directions: the keys of some heads lie in few. */
const LEAST_CURVATURE = 1e-3;

/**
 * Fits a query's linear to the teacher's attention instead of its queries. Minimizes Σ_t w_t Σ_u p_tu (e_tu - Σ p_t
 * e_t)², the divergence of the two softmaxes to second order, e_tu being the error of the score of query t and key u,
 * and p_tu the teacher's attention. Errors in directions that no key has, or that move a whole row alike, cost nothing.
 * The sum is quadratic in the weights; conjugate gradients solve it, preconditioned as if all queries saw the same
 * keys. Undefined where nothing helps on held-out rows.
 */
export async function fitScores(problem: ScoresProblem, runs: ScoresRuns): Promise<ScoresFit | undefined> {
  const { student, teacher, features } = problem;
  const pairs = await runs.scorePairs(student, teacher, segmentsOf(features.h, student.heads));
  try {
    return await descend(problem, pairs, runs);
  } finally {
    await pairs.close();
  }
}

/** Takes steps of conjugate gradients while they help on held-out rows. */
async function descend(problem: ScoresProblem, pairs: ScorePairs, runs: ScoresRuns): Promise<ScoresFit | undefined> {
  const { h } = problem.features;
  const { columns } = problem.student.q;
  const train = new Float32Array(h.rows).fill(1, 0, h.fitted);
  const held = new Float32Array(h.rows).fill(1, h.fitted);
  const system = preconditionerOf(problem, (await pairs.curvatures(train)).map(withLeastCurvature));

  const gradientOf = async (values: Float32Array) => {
    // The slopes of held-out rows are zero.
    const g = rowsBetween({ values, rows: h.rows, columns }, 0, h.fitted);
    return { change: await runs.product(g, rowsBetween(h, 0, h.fitted)), offset: columnSum(g) };
  };
  const rowsOf = async ({ change, offset }: Step) => {
    const weight = { values: Float32Array.from(change), rows: columns, columns: h.columns };
    const rows = await runs.rowsTimes(h, weight);
    for (let i = 0, c = 0; i < rows.length; i++, c = c + 1 === columns ? 0 : c + 1) {
      rows[i] = (rows[i] as number) + (offset[c] as number);
    }
    return rows;
  };

  const total = zeroStep(columns, h.columns);
  const queryChange = new Float32Array(h.rows * columns);
  const residual = await gradientOf(await pairs.slope(undefined, train));
  scaleStep(residual, -1);
  let preconditioned = system.solve(residual);
  let direction = preconditioned;
  let size = dot(residual, preconditioned);
  let error = await pairs.divergence(queryChange, held);
  let best: Step | undefined;
  for (let n = 0; n < MAX_STEPS && size > 0; n++) {
    const rows = await rowsOf(direction);
    // The matrix of the quadratic form times the direction.
    const curved = await gradientOf(await pairs.slope(rows, train));
    system.addRidge(curved, direction);
    const length = size / dot(direction, curved);
    addStep(total, direction, length);
    addStep(residual, curved, -length);
    for (let i = 0; i < queryChange.length; i++) {
      queryChange[i] = (queryChange[i] as number) + length * (rows[i] as number);
    }
    const nextError = await pairs.divergence(queryChange, held);
    if (!(nextError < error)) break;
    best = copyStep(total);
    if (nextError > error * (1 - LEAST_GAIN)) break;
    error = nextError;
    preconditioned = system.solve(residual);
    const nextSize = dot(residual, preconditioned);
    const nextDirection = copyStep(preconditioned);
    addStep(nextDirection, direction, nextSize / size);
    [direction, size] = [nextDirection, nextSize];
  }
  return best && { change: best.change, offset: withoutMean(best, h.mean) };
}

/** A change of weight [out, in], to be multiplied with centred rows, and of bias. */
interface Step {
  readonly change: Float64Array;
  readonly offset: Float64Array;
}

/** The quadratic form that stands in for the true one in each step. */
interface Preconditioner {
  /** Solves the form for a residual. */
  solve(residual: Step): Step;
  /** Adds the gradient of the regularization at a step to another gradient. */
  addRidge(to: Step, at: Step): void;
}

/**
 * Builds C̄ ⊗ (HᵀH + ridge), what the quadratic form would be if all queries saw the same keys. `curvatures` are each
 * head's C̄.
 */
function preconditionerOf({ features, ridge }: ScoresProblem, curvatures: readonly Float64Array[]): Preconditioner {
  const width = features.h.columns;
  const factor = features.factorOf('train', ridge);
  const penalty = features.ridgeOf('train', ridge);
  const inverses = curvatures.map(inverseOf);
  return {
    solve({ change, offset }) {
      const sides = change.slice();
      solveCholesky(factor, width, sides);
      return {
        change: byHead(inverses, sides, width),
        offset: byHead(inverses, offset, 1).map((value) => value / features.h.fitted),
      };
    },
    addRidge(to, { change }) {
      const curved = byHead(curvatures, change, width);
      for (let i = 0; i < curved.length; i++) to.change[i] = (to.change[i] as number) + penalty * (curved[i] as number);
    },
  };
}

function withLeastCurvature(curvature: Float64Array): Float64Array {
  const size = Math.sqrt(curvature.length);
  let sum = 0;
  for (let i = 0; i < size; i++) sum += curvature[i * size + i] as number;
  const least = (LEAST_CURVATURE * sum) / size || 1;
  return curvature.map((value, i) => (i % (size + 1) === 0 ? value + least : value));
}

function inverseOf(matrix: Float64Array): Float64Array {
  const size = Math.sqrt(matrix.length);
  const factor = matrix.slice();
  factorCholesky(factor, size);
  const inverse = matrix.map((_, i) => (i % (size + 1) === 0 ? 1 : 0));
  solveCholesky(factor, size, inverse);
  return inverse;
}

/** Multiplies each head's [size, size] matrix with its rows of `values` [heads · size, width]. */
function byHead(matrices: readonly Float64Array[], values: Float64Array, width: number): Float64Array {
  const result = new Float64Array(values.length);
  for (const [head, matrix] of matrices.entries()) {
    const size = Math.sqrt(matrix.length);
    for (let i = 0; i < size; i++) {
      const to = (head * size + i) * width;
      for (let j = 0; j < size; j++) {
        const factor = matrix[i * size + j] as number;
        const from = (head * size + j) * width;
        for (let c = 0; c < width; c++)
          result[to + c] = (result[to + c] as number) + factor * (values[from + c] as number);
      }
    }
  }
  return result;
}

/**
 * Splits rows into sequences, whose rows stand together. Where there are too many pairs only every second sequence is
 * taken, or every third.
 */
function segmentsOf({ sequence }: TextMatrix, heads: number): Segment[] {
  const rows = sequence.length;
  const segments: Segment[] = [];
  let pairs = 0;
  for (let start = 0, end = 0; start < rows; start = end) {
    while (end < rows && sequence[end] === sequence[start]) end++;
    const length = end - start;
    pairs += length * length * heads;
    segments.push({ start, length });
  }
  const step = Math.ceil(pairs / MAX_PAIRS);
  return segments.filter((_, i) => i % step === 0);
}

function zeroStep(channels: number, width: number): Step {
  return { change: new Float64Array(channels * width), offset: new Float64Array(channels) };
}

function copyStep({ change, offset }: Step): Step {
  return { change: change.slice(), offset: offset.slice() };
}

function scaleStep(step: Step, factor: number): void {
  for (const part of [step.change, step.offset]) {
    for (let i = 0; i < part.length; i++) part[i] = (part[i] as number) * factor;
  }
}

function addStep(to: Step, step: Step, factor: number): void {
  for (const part of ['change', 'offset'] as const) {
    const [sum, values] = [to[part], step[part]];
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + factor * (values[i] as number);
  }
}

function dot(a: Step, b: Step): number {
  let sum = 0;
  for (const part of ['change', 'offset'] as const) {
    const [x, y] = [a[part], b[part]];
    for (let i = 0; i < x.length; i++) sum += (x[i] as number) * (y[i] as number);
  }
  return sum;
}

function columnSum({ values, columns }: Matrix): Float64Array {
  const sums = new Float64Array(columns);
  for (let i = 0, c = 0; i < values.length; i++, c = c + 1 === columns ? 0 : c + 1) {
    sums[c] = (sums[c] as number) + (values[i] as number);
  }
  return sums;
}

/** Converts a step's bias for centred rows to the one for rows as they are. */
function withoutMean({ change, offset }: Step, mean: Float32Array): Float64Array {
  return offset.map((value, c) => {
    let sum = value;
    for (let i = 0; i < mean.length; i++) sum -= (change[c * mean.length + i] as number) * (mean[i] as number);
    return sum;
  });
}
