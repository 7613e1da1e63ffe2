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

/** Adam (Kingma and Ba 2015, algorithm 1) over arrays that it changes in place. */
export class Adam {
  readonly #parameters: readonly Parameter[];
  readonly #means: readonly Float32Array[];
  readonly #squares: readonly Float32Array[];
  #steps = 0;

  constructor(parameters: readonly Parameter[]) {
    this.#parameters = parameters;
    this.#means = parameters.map(({ values }) => new Float32Array(values.length));
    this.#squares = parameters.map(({ values }) => new Float32Array(values.length));
  }

  /** Moves each value by about its rate against its gradient; `gradients` are in the parameters' order and sizes. */
  step(gradients: readonly Float32Array[], rate: number): void {
    this.#steps++;
    const norm = Math.sqrt(gradients.reduce((sum, gradient) => sum + sumOfSquares(gradient), 0));
    const clip = norm > LONGEST ? LONGEST / norm : 1;
    const [first, second] = BETAS;
    const correction = Math.sqrt(1 - second ** this.#steps) / (1 - first ** this.#steps);
    for (const [i, { values, rate: factor }] of this.#parameters.entries()) {
      const gradient = gradients[i] as Float32Array;
      const mean = this.#means[i] as Float32Array;
      const square = this.#squares[i] as Float32Array;
      const step = rate * factor * correction;
      for (let k = 0; k < values.length; k++) {
        const g = (gradient[k] as number) * clip;
        const m = first * (mean[k] as number) + (1 - first) * g;
        const v = second * (square[k] as number) + (1 - second) * g * g;
        mean[k] = m;
        square[k] = v;
        values[k] = (values[k] as number) - (step * m) / (Math.sqrt(v) + EPSILON);
      }
    }
  }
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * (values[i] as number);
  return sum;
}
