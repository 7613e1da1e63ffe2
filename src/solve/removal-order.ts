import { factorCholesky, solveCholesky } from './cholesky.ts';

/** Units that a linear y = W h reads, and what it costs to do without them. */
export interface RemovalProblem {
  /** Weights W [out, in]. */
  readonly weight: Float32Array;
  /** Weight of the squared error of each output. */
  readonly importance: Float64Array;
  /** The Gram matrix Σ h hᵀ [in, in], of values less their mean. */
  readonly gram: Float64Array;
  readonly inputs: number;
  /** Neighbouring inputs of a unit. */
  readonly unit: number;
  /** Units that go at once, so that they need only one change of the others. */
  readonly step: number;
  /** The ridge that is added to the Gram matrix, as a share of its mean diagonal. */
  readonly ridge: number;
}

/** Units in the order in which they go; the last step of them stays. */
export interface RemovalOrder {
  readonly units: Int32Array;
  /** The weighted squared error of y once so many steps are gone, the first entry being 0. */
  readonly errors: Float64Array;
}

/**
 * Removes units step by step, each time those without which the other weights, fitted anew, give the least error: with
 * A = (Σ h hᵀ + ridge)⁻¹, inputs B cost Σ_c importance_c w_cB (A_BB)⁻¹ w_cBᵀ, the other weights change by
 * -w_B (A_BB)⁻¹ A_B·, and A loses A_·B (A_BB)⁻¹ A_B· (optimal brain surgeon, Hassibi and Stork 1993, with whole columns
 * in place of single weights).
 */
export function removalOrder(problem: RemovalProblem): RemovalOrder {
  const { inputs, unit, step } = problem;
  const left = new Removal(problem);
  const steps = Math.ceil(inputs / unit / step) - 1;
  const units = new Int32Array(steps * step);
  const errors = new Float64Array(steps + 1);
  for (let i = 0; i < steps; i++) {
    const { removed, error } = left.removeCheapest(step);
    units.set(removed, i * step);
    errors[i + 1] = (errors[i] as number) + error;
  }
  return { units, errors };
}

/** What is left of a linear. Units that go are swapped behind the others first, so that these stay compact. */
class Removal {
  readonly #unit: number;
  readonly #outputs: number;
  readonly #stride: number;
  /** Number of inputs that are left. */
  #size: number;
  /** The inverse Gram matrix [stride, stride], of which the first `size` rows and columns are in use. */
  readonly #inverse: Float64Array;
  /** Weights by input, [in, out], outputs scaled by the root of their importance. */
  readonly #rows: Float64Array;
  readonly #unitAt: Int32Array;

  constructor({ weight, importance, gram, inputs, unit, ridge }: RemovalProblem) {
    this.#unit = unit;
    this.#outputs = importance.length;
    this.#stride = inputs;
    this.#size = inputs;
    this.#inverse = inverseOf(gram, inputs, ridge);
    this.#unitAt = Int32Array.from({ length: inputs / unit }, (_, i) => i);
    this.#rows = new Float64Array(inputs * this.#outputs);
    for (let out = 0, at = 0; out < this.#outputs; out++) {
      const scale = Math.sqrt(importance[out] as number);
      for (let i = 0; i < inputs; i++, at++) this.#rows[i * this.#outputs + out] = (weight[at] as number) * scale;
    }
  }

  /** Removes the units that cost least one by one. */
  removeCheapest(count: number): { readonly removed: Int32Array; readonly error: number } {
    const left = this.#size / this.#unit;
    const costs = Float64Array.from({ length: left }, (_, place) => this.#costOf(place));
    const cheapest = Array.from(costs, (_, place) => place)
      .sort((a, b) => (costs[a] as number) - (costs[b] as number) || a - b)
      .slice(0, count);
    const removed = Int32Array.from(cheapest, (place) => this.#unitAt[place] as number);
    // From the back, so that none is swapped away before its turn.
    for (const [i, place] of cheapest.toSorted((a, b) => b - a).entries()) this.#swap(place, left - 1 - i);
    return { removed, error: this.#dropLast(count * this.#unit) };
  }

  #costOf(place: number): number {
    if (this.#unit > 1) return this.#solve(place * this.#unit, this.#unit).cost;
    let square = 0;
    for (let at = place * this.#outputs; at < (place + 1) * this.#outputs; at++)
      square += (this.#rows[at] as number) ** 2;
    return square / (this.#inverse[place * (this.#stride + 1)] as number);
  }

  /** Computes (A_BB)⁻¹ w_B [out, B] for neighbouring inputs B, and their cost Σ w_B (A_BB)⁻¹ w_B. */
  #solve(from: number, count: number) {
    const outputs = this.#outputs;
    const factor = new Float64Array(count * count);
    for (let i = 0; i < count; i++) {
      const row = (from + i) * this.#stride + from;
      factor.set(this.#inverse.subarray(row, row + count), i * count);
    }
    factorCholesky(factor, count);
    const solved = new Float64Array(outputs * count);
    for (let i = 0; i < count; i++) {
      for (let out = 0; out < outputs; out++)
        solved[out * count + i] = this.#rows[(from + i) * outputs + out] as number;
    }
    solveCholesky(factor, count, solved);
    let cost = 0;
    for (let i = 0; i < count; i++) {
      for (let out = 0; out < outputs; out++)
        cost += (this.#rows[(from + i) * outputs + out] as number) * (solved[out * count + i] as number);
    }
    return { factor, cost };
  }

  /** Lets two units change places. */
  #swap(a: number, b: number): void {
    if (a === b) return;
    const units = this.#unitAt;
    [units[a], units[b]] = [units[b] as number, units[a] as number];
    for (let i = 0; i < this.#unit; i++) {
      const [x, y] = [a * this.#unit + i, b * this.#unit + i];
      swap(this.#rows, { from: x * this.#outputs, to: y * this.#outputs, step: 1, count: this.#outputs });
      swap(this.#inverse, { from: x * this.#stride, to: y * this.#stride, step: 1, count: this.#size });
      swap(this.#inverse, { from: x, to: y, step: this.#stride, count: this.#size });
    }
  }

  /** Removes the last inputs, making up for them with the others; returns what they cost. */
  #dropLast(count: number): number {
    this.#size -= count;
    const [inverse, rows, outputs, size, stride] = [this.#inverse, this.#rows, this.#outputs, this.#size, this.#stride];
    const { factor, cost } = this.#solve(size, count);
    const changes = new Float64Array(size * count);
    for (let i = 0; i < size; i++)
      changes.set(inverse.subarray(i * stride + size, i * stride + size + count), i * count);
    solveCholesky(factor, count, changes);
    for (let i = 0; i < size; i++) {
      for (let b = 0; b < count; b++) {
        const change = changes[i * count + b] as number;
        if (change === 0) continue;
        subtractScaled(inverse, i * stride, (size + b) * stride, { change, count: size });
        subtractScaled(rows, i * outputs, (size + b) * outputs, { change, count: outputs });
      }
    }
    return cost;
  }
}

/** Subtracts a multiple of some neighbouring values from others. */
function subtractScaled(
  values: Float64Array,
  to: number,
  from: number,
  { change, count }: { readonly change: number; readonly count: number },
): void {
  for (let j = 0; j < count; j++) values[to + j] = (values[to + j] as number) - change * (values[from + j] as number);
}

/** Exchanges values that are `step` apart. */
function swap(
  values: Float64Array,
  {
    from,
    to,
    step,
    count,
  }: { readonly from: number; readonly to: number; readonly step: number; readonly count: number },
): void {
  for (let i = 0, a = from, b = to; i < count; i++, a += step, b += step) {
    const value = values[a] as number;
    values[a] = values[b] as number;
    values[b] = value;
  }
}

function inverseOf(gram: Float64Array, size: number, ridge: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += gram[i * size + i] as number;
  // A value that is zero on all the text has a Gram matrix of zeros, which any ridge makes regular.
  const added = trace > 0 ? (ridge * trace) / size : 1;
  const factor = gram.slice();
  for (let i = 0; i < size; i++) factor[i * size + i] = (factor[i * size + i] as number) + added;
  factorCholesky(factor, size);
  const inverse = new Float64Array(size * size);
  for (let i = 0; i < size; i++) inverse[i * size + i] = 1;
  solveCholesky(factor, size, inverse);
  return inverse;
}
