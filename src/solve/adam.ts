/**
 * The decay of the running means of gradients and of their squares. 0.98 forgets within some dozen steps, as short runs
 * need.
 */
const BETAS = [0.9, 0.98] as const;

/** A small addend that keeps channels without a gradient so far from being divided by zero. */
const EPSILON = 1e-8;

/**
 * The greatest norm of all gradients together. Longer ones are shortened to it: one odd batch must not throw the
 * weights about.
 */
const LONGEST = 1;

/** An array that is trained. */
export interface Parameter {
  readonly values: Float32Array;
  /** The factor on the rate of a step. */
  readonly rate: number;
}

/** A gradient by an array, with as many values as that. */
export interface Gradient {
  readonly values: Float32Array;
  /** Rows that are not zero, of a table of which a step reads few; undefined where all of the array counts. */
  readonly rows?: { readonly places: readonly number[]; readonly width: number };
}

/** What Adam remembers between steps. */
export interface AdamState {
  readonly steps: number;
  readonly means: readonly Float32Array[];
  readonly squares: readonly Float32Array[];
}

/**
 * Adam (Kingma and Ba 2015, algorithm 1) over arrays that it changes in place. Rows of a table that a step does not
 * read keep their means as they are.
 */
export class Adam {
  readonly #parameters: readonly Parameter[];
  readonly #means: readonly Float32Array[];
  readonly #squares: readonly Float32Array[];
  #steps: number;

  /** Starts anew, or goes on from a state, whose arrays it takes over. */
  constructor(parameters: readonly Parameter[], from?: AdamState) {
    this.#parameters = parameters;
    this.#means = from?.means ?? parameters.map(({ values }) => new Float32Array(values.length));
    this.#squares = from?.squares ?? parameters.map(({ values }) => new Float32Array(values.length));
    this.#steps = from?.steps ?? 0;
  }

  /** The state after the last step, not copied. */
  get state(): AdamState {
    return { steps: this.#steps, means: this.#means, squares: this.#squares };
  }

  /**
   * Moves each value by about its rate against its gradient; `gradients` are in the parameters' order and sizes. What has
   * no gradient stays as it is.
   */
  step(gradients: readonly (Gradient | undefined)[], rate: number): void {
    this.#steps++;
    const norm = Math.sqrt(gradients.reduce((sum, gradient) => sum + (gradient ? sumOfSquares(gradient) : 0), 0));
    const clip = norm > LONGEST ? LONGEST / norm : 1;
    const correction = Math.sqrt(1 - BETAS[1] ** this.#steps) / (1 - BETAS[0] ** this.#steps);
    for (const [i, { rate: factor }] of this.#parameters.entries()) {
      const gradient = gradients[i];
      if (gradient === undefined) continue;
      const { rows } = gradient;
      const size = rate * factor * correction;
      if (rows === undefined) this.#move(i, gradient.values, { from: 0, to: gradient.values.length, clip, size });
      else {
        for (const place of rows.places) {
          this.#move(i, gradient.values, { from: place * rows.width, to: (place + 1) * rows.width, clip, size });
        }
      }
    }
  }

  #move(at: number, gradient: Float32Array, { from, to, clip, size }: Move): void {
    const { values } = this.#parameters[at] as Parameter;
    const mean = this.#means[at] as Float32Array;
    const square = this.#squares[at] as Float32Array;
    const [first, second] = BETAS;
    for (let k = from; k < to; k++) {
      const g = (gradient[k] as number) * clip;
      const m = first * (mean[k] as number) + (1 - first) * g;
      const v = second * (square[k] as number) + (1 - second) * g * g;
      mean[k] = m;
      square[k] = v;
      values[k] = (values[k] as number) - (size * m) / (Math.sqrt(v) + EPSILON);
    }
  }
}

/** A part of an array, and how far it moves. */
interface Move {
  readonly from: number;
  readonly to: number;
  readonly clip: number;
  readonly size: number;
}

function sumOfSquares({ values, rows }: Gradient): number {
  let sum = 0;
  if (rows === undefined) {
    for (let i = 0; i < values.length; i++) sum += (values[i] as number) * (values[i] as number);
    return sum;
  }
  for (const place of rows.places) {
    const to = (place + 1) * rows.width;
    for (let i = place * rows.width; i < to; i++) sum += (values[i] as number) * (values[i] as number);
  }
  return sum;
}
