import { setImmediate } from 'node:timers/promises';
import { factorCholesky, invertCholesky, solveCholesky } from './cholesky.ts';
import { subtractRows } from './subtract-rows.ts';

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
 * in place of single weights). `progress` hears after each step how many are done. Thousands of inputs take many seconds,
 * so other work of the process has its turn between steps: the signal that ends it, above all.
 */
export async function removalOrder(
  problem: RemovalProblem,
  progress: (done: number, total: number) => void = () => undefined,
): Promise<RemovalOrder> {
  const { inputs, unit, step } = problem;
  const left = new Removal(linearOf(problem));
  const steps = Math.ceil(inputs / unit / step) - 1;
  const units = new Int32Array(steps * step);
  const errors = new Float64Array(steps + 1);
  for (let i = 0; i < steps; i++) {
    const { removed, error } = left.removeCheapest(step);
    units.set(removed, i * step);
    errors[i + 1] = (errors[i] as number) + error;
    progress(i + 1, steps);
    await setImmediate();
  }
  return { units, errors };
}

/** A linear as removal sees it. */
interface Linear {
  readonly unit: number;
  readonly inputs: number;
  readonly outputs: number;
  /** The inverse Gram matrix [inputs, inputs]; of this symmetric matrix the lower triangle is read. */
  readonly inverse: Float64Array;
  /** Weights by input, [inputs, outputs], outputs scaled by the root of their importance. */
  readonly rows: Float64Array;
}

function linearOf({ weight, importance, gram, inputs, unit, ridge }: RemovalProblem): Linear {
  const outputs = importance.length;
  const rows = new Float64Array(inputs * outputs);
  for (let out = 0, at = 0; out < outputs; out++) {
    const scale = Math.sqrt(importance[out] as number);
    for (let i = 0; i < inputs; i++, at++) rows[i * outputs + out] = (weight[at] as number) * scale;
  }
  return { unit, inputs, outputs, inverse: inverseOf(gram, inputs, ridge), rows };
}

/** Of the cheapest units so many for each that goes in a step are looked at together. */
const CANDIDATES = 4;

/** What is left of a linear. Units that go are swapped behind the others first, so that these stay compact. */
class Removal {
  readonly #unit: number;
  readonly #outputs: number;
  readonly #stride: number;
  /** Number of inputs that are left. */
  #size: number;
  /**
   * The lower triangle of the inverse Gram matrix [stride, stride], of which the first `size` rows and columns are in
   * use. Above the diagonal nothing is kept.
   */
  readonly #inverse: Float64Array;
  readonly #rows: Float64Array;
  readonly #unitAt: Int32Array;

  constructor({ unit, inputs, outputs, inverse, rows }: Linear) {
    this.#unit = unit;
    this.#outputs = outputs;
    this.#stride = inputs;
    this.#size = inputs;
    this.#inverse = inverse;
    this.#rows = rows;
    this.#unitAt = Int32Array.from({ length: inputs / unit }, (_, i) => i);
  }

  /** Removes the units that cost least one by one. */
  removeCheapest(count: number): { readonly removed: Int32Array; readonly error: number } {
    const left = this.#size / this.#unit;
    const costs = Float64Array.from({ length: left }, (_, place) => this.#costOf(place));
    const order = Array.from(costs, (_, place) => place).sort(
      (a, b) => (costs[a] as number) - (costs[b] as number) || a - b,
    );
    const cheapest = count === 1 ? order.slice(0, 1) : this.#oneByOne(order.slice(0, CANDIDATES * count), count);
    const removed = Int32Array.from(cheapest, (place) => this.#unitAt[place] as number);
    // From the back, so that none is swapped away before its turn.
    for (const [i, place] of cheapest.toSorted((a, b) => b - a).entries()) this.#swap(place, left - 1 - i);
    return { removed, error: this.#dropLast(count * this.#unit) };
  }

  /**
   * Picks some of a few cheap inputs, each once those before it are gone: of two that stand in for each other both are
   * cheap, but not together.
   */
  #oneByOne(places: readonly number[], count: number): number[] {
    const [unit, outputs] = [this.#unit, this.#outputs];
    const inputs = places.length * unit;
    const inverse = new Float64Array(inputs * inputs);
    const rows = new Float64Array(inputs * outputs);
    const inputAt = (i: number) => (places[Math.floor(i / unit)] as number) * unit + (i % unit);
    for (let i = 0; i < inputs; i++) {
      const from = inputAt(i);
      rows.set(this.#rows.subarray(from * outputs, (from + 1) * outputs), i * outputs);
      for (let j = 0; j <= i; j++) {
        const other = inputAt(j);
        const at = Math.max(from, other) * this.#stride + Math.min(from, other);
        inverse[i * inputs + j] = this.#inverse[at] as number;
      }
    }
    const part = new Removal({ unit, inputs, outputs, inverse, rows });
    return Array.from({ length: count }, () => places[part.removeCheapest(1).removed[0] as number] as number);
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

  /** Lets two units change places, of which `b` is not before `a`. */
  #swap(a: number, b: number): void {
    if (a === b) return;
    const units = this.#unitAt;
    [units[a], units[b]] = [units[b] as number, units[a] as number];
    const [inverse, stride] = [this.#inverse, this.#stride];
    for (let i = 0; i < this.#unit; i++) {
      const [x, y] = [a * this.#unit + i, b * this.#unit + i];
      swap(this.#rows, { from: x * this.#outputs, to: y * this.#outputs, steps: [1, 1], count: this.#outputs });
      const [rowX, rowY] = [x * stride, y * stride];
      swap(inverse, { from: rowX, to: rowY, steps: [1, 1], count: x });
      swap(inverse, { from: rowX + x, to: rowY + y, steps: [1, 1], count: 1 });
      // Between the two, what stands below x comes to stand beside y.
      swap(inverse, { from: rowX + stride + x, to: rowY + x + 1, steps: [stride, 1], count: y - x - 1 });
      const below = rowY + stride;
      swap(inverse, { from: below + x, to: below + y, steps: [stride, stride], count: this.#size - y - 1 });
    }
  }

  /** Removes the last inputs, making up for them with the others; returns what they cost. */
  #dropLast(count: number): number {
    this.#size -= count;
    const [inverse, rows, outputs, size, stride] = [this.#inverse, this.#rows, this.#outputs, this.#size, this.#stride];
    const { factor, cost } = this.#solve(size, count);
    const changes = new Float64Array(size * count);
    for (let b = 0; b < count; b++) {
      for (let i = 0, from = (size + b) * stride; i < size; i++) changes[i * count + b] = inverse[from + i] as number;
    }
    solveCholesky(factor, count, changes);
    // Of two rows the first gets one number above the diagonal, which nobody reads.
    for (let i = 0; i < size; i += 2) {
      const second = Math.min(i + 1, size - 1);
      const places = { firstAt: i * count, secondAt: second * count };
      const pair = { first: i, second, from: size, count, multiples: changes, ...places };
      subtractRows(inverse, stride, pair, second + 1);
      subtractRows(rows, outputs, pair, outputs);
    }
    return cost;
  }
}

/** Exchanges values, of which the next one stands `steps` further on at each of the two places. */
function swap(
  values: Float64Array,
  {
    from,
    to,
    steps: [stepFrom, stepTo],
    count,
  }: { readonly from: number; readonly to: number; readonly steps: readonly [number, number]; readonly count: number },
): void {
  for (let i = 0, a = from, b = to; i < count; i++, a += stepFrom, b += stepTo) {
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
  return invertCholesky(factor, size);
}
