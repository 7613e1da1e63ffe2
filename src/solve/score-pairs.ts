import type { Matrix } from '../calibration-runs.ts';

/** Query, key and places of the heads of one attention: rows are tokens, channels are head after head. */
export interface Heads {
  /** [rows, heads · size] */
  readonly q: Matrix;
  /** [rows, heads · size] */
  readonly k: Matrix;
  readonly heads: number;
  /** A score is scale · q·k. */
  readonly scale: number;
}

/** Tokens `start` to `start + length` are one sequence, and attend to one another. */
export interface Segment {
  readonly start: number;
  readonly length: number;
}

/** The scores of an attention less those of its teacher, and how much the teacher's softmax attends to each. */
export interface ScorePairs extends Heads {
  readonly segments: readonly Segment[];
  /** For each segment, head and query: one number for each key. */
  readonly probabilities: Float32Array;
  readonly errors: Float32Array;
}

/** Everything between the tokens of each segment. */
export function pairsOf(student: Heads, teacher: Heads, segments: readonly Segment[]): ScorePairs {
  const { heads } = student;
  const count = segments.reduce((sum, { length }) => sum + length * length * heads, 0);
  const probabilities = new Float32Array(count);
  const errors = new Float32Array(count);
  let at = 0;
  for (const segment of segments) {
    for (let head = 0; head < heads; head++) {
      for (let t = 0; t < segment.length; t++, at += segment.length) {
        const wanted = probabilities.subarray(at, at + segment.length);
        scoresInto(wanted, teacher, teacher.q.values, segment, head, t);
        const found = errors.subarray(at, at + segment.length);
        scoresInto(found, student, student.q.values, segment, head, t);
        for (let u = 0; u < found.length; u++) found[u] = (found[u] as number) - (wanted[u] as number);
        softmax(wanted);
      }
    }
  }
  return { ...student, segments, probabilities, errors };
}

/**
 * Σ w_t Σ_u p_tu (e_tu - Σ p_t e_t)² over the queries, e being the errors plus what `change` [rows, channels] of the queries
 * makes of them: twice what the softmax diverges by, to second order. A whole row of scores may be wrong alike.
 */
export function divergence(pairs: ScorePairs, change: Float32Array, weights: Float32Array): number {
  const row = new Float32Array(longest(pairs.segments));
  let sum = 0;
  eachQuery(pairs, weights, (segment, head, t, at, weight) => {
    const errors = row.subarray(0, segment.length);
    scoresInto(errors, pairs, change, segment, head, t);
    let mean = 0;
    for (let u = 0; u < errors.length; u++) {
      errors[u] = (errors[u] as number) + (pairs.errors[at + u] as number);
      mean += (pairs.probabilities[at + u] as number) * (errors[u] as number);
    }
    for (let u = 0; u < errors.length; u++) {
      sum += weight * (pairs.probabilities[at + u] as number) * ((errors[u] as number) - mean) ** 2;
    }
  });
  return sum;
}

/**
 * Half the gradient of `divergence` by the change of the queries [rows, channels]: of what `change` alone makes, or,
 * without one, of the errors there are.
 */
export function slope(pairs: ScorePairs, change: Float32Array | undefined, weights: Float32Array): Float32Array {
  const { k, scale, probabilities, heads } = pairs;
  const { columns, values: keys } = k;
  const size = columns / heads;
  const result = new Float32Array(k.rows * columns);
  const row = new Float32Array(longest(pairs.segments));
  eachQuery(pairs, weights, (segment, head, t, at, weight) => {
    const values = row.subarray(0, segment.length);
    if (change) scoresInto(values, pairs, change, segment, head, t);
    else values.set(pairs.errors.subarray(at, at + segment.length));
    let mean = 0;
    for (let u = 0; u < values.length; u++) mean += (probabilities[at + u] as number) * (values[u] as number);
    const to = (segment.start + t) * columns + head * size;
    for (let u = 0; u < values.length; u++) {
      const factor = scale * weight * (probabilities[at + u] as number) * ((values[u] as number) - mean);
      const from = (segment.start + u) * columns + head * size;
      for (let i = 0; i < size; i++) {
        result[to + i] = (result[to + i] as number) + factor * (keys[from + i] as number);
      }
    }
  });
  return result;
}

/** Of each head: the mean over the queries of scale² Σ_u p_tu κ κᵀ [size, size], κ being a key less the mean that p_t sees. */
export function curvatures(pairs: ScorePairs, weights: Float32Array): Float64Array[] {
  const { k, scale, probabilities, heads } = pairs;
  const size = k.columns / heads;
  const sums = Array.from({ length: heads }, () => new Float64Array(size * size));
  const means = new Float64Array(size);
  let total = 0;
  // How often the keys of one segment and head are looked at by all queries together.
  const looks = new Float64Array(longest(pairs.segments));
  let open: { readonly segment: Segment; readonly head: number } | undefined;
  const close = () => {
    if (open === undefined) return;
    for (let u = 0; u < open.segment.length; u++) {
      addOuter(sums[open.head] as Float64Array, keyAt(k, size, open.segment, open.head, u), looks[u] as number);
    }
    looks.fill(0);
  };
  eachQuery(pairs, weights, (segment, head, _, at, weight) => {
    if (open?.segment !== segment || open.head !== head) close();
    open = { segment, head };
    means.fill(0);
    for (let u = 0; u < segment.length; u++) {
      const p = probabilities[at + u] as number;
      looks[u] = (looks[u] as number) + weight * p;
      const key = keyAt(k, size, segment, head, u);
      for (let i = 0; i < size; i++) means[i] = (means[i] as number) + p * (key[i] as number);
    }
    addOuter(sums[head] as Float64Array, means, -weight);
    if (head === 0) total += weight;
  });
  close();
  return sums.map((sum) => sum.map((value) => (value * scale * scale) / total));
}

function keyAt(k: Matrix, size: number, { start }: Segment, head: number, u: number): Float32Array {
  const from = (start + u) * k.columns + head * size;
  return k.values.subarray(from, from + size);
}

function addOuter(sum: Float64Array, x: Float32Array | Float64Array, factor: number): void {
  for (let i = 0, at = 0; i < x.length; i++) {
    const scaled = factor * (x[i] as number);
    for (let j = 0; j < x.length; j++, at++) sum[at] = (sum[at] as number) + scaled * (x[j] as number);
  }
}

/** Queries that count, with the place of their first key among all pairs. */
function eachQuery(
  { segments, heads }: ScorePairs,
  weights: Float32Array,
  visit: (segment: Segment, head: number, t: number, at: number, weight: number) => void,
): void {
  let at = 0;
  for (const segment of segments) {
    for (let head = 0; head < heads; head++) {
      for (let t = 0; t < segment.length; t++, at += segment.length) {
        const weight = weights[segment.start + t] as number;
        if (weight > 0) visit(segment, head, t, at, weight);
      }
    }
  }
}

/** scale · q_t·k_u for each key u of the segment. */
function scoresInto(
  to: Float32Array,
  { k, heads, scale }: Heads,
  q: Float32Array,
  { start }: Segment,
  head: number,
  t: number,
): void {
  const { columns, values } = k;
  const size = columns / heads;
  const left = (start + t) * columns + head * size;
  for (let u = 0; u < to.length; u++) {
    const right = (start + u) * columns + head * size;
    let sum = 0;
    for (let i = 0; i < size; i++) sum += (q[left + i] as number) * (values[right + i] as number);
    to[u] = scale * sum;
  }
}

function softmax(row: Float32Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let u = 0; u < row.length; u++) largest = Math.max(largest, row[u] as number);
  let sum = 0;
  for (let u = 0; u < row.length; u++) sum += row[u] = Math.exp((row[u] as number) - largest);
  for (let u = 0; u < row.length; u++) row[u] = (row[u] as number) / sum;
}

function longest(segments: readonly Segment[]): number {
  return segments.reduce((most, { length }) => Math.max(most, length), 0);
}
