/** The share of steps in which the rate rises. */
const WARM_UP = 0.05;

/** Steps in which the rate rises where their number is not known. */
const WARM_UP_STEPS = 30;

/**
 * The share of all steps in which the rate stays high. The others bring it down to nothing along a line: they take the noise
 * out that a high rate leaves in the weights, and bring much of the gain.
 */
const HIGH_SHARE = 0.4;

/** The rate of a step, as a share of the highest, where the number of steps is given. */
export function rateAt(step: number, steps: number): number {
  const rising = (step + 1) / (WARM_UP * steps);
  return Math.min(1, rising) * Math.min(1, (1 - step / steps) / (1 - HIGH_SHARE));
}

/** Inputs of a linear whose weights move as far as the rate says. */
const INPUTS = 256;

/**
 * The learning rate of an array, as a multiple of the plan's. A step moves all weights of a row; what that does to their
 * sum grows with their number.
 */
export function relativeRate(shape: readonly number[], vectorRate: number): number {
  return shape.length === 2 ? INPUTS / (shape[1] as number) : vectorRate;
}

/** Fewest steps between two measurements on held-out texts. */
const TRIAL_STEPS = 50;

/** Work of a step by text, in that of reading one: the teacher's and the student's, and twice that for gradients. */
const STEP_WORK = 4;

/** Share of the work that measurements take where the number of steps is not given. */
export const TRIAL_SHARE = 0.04;

/** Steps between two measurements on so many texts, each step of `batch` texts, where their number is not given. */
export function stepsBetweenTrials(texts: number, batch: number): number {
  return Math.max(TRIAL_STEPS, Math.ceil(texts / (STEP_WORK * batch) / TRIAL_SHARE));
}

/** Number of measurements on held-out texts where the number of steps is given. */
export const TRIALS = 10;

/** Steps between two measurements of a training of so many steps. */
export function stepsBetweenTrialsOf(steps: number): number {
  return Math.max(TRIAL_STEPS, Math.ceil(steps / TRIALS));
}

/** Measurements without a gain after which the rate begins to fall. */
const PATIENCE = 3;

/** The least gain that counts, in dB: less is noise. */
const LEAST_GAIN = 0.02;

/** The loss against the best, in dB, from which on it is a dip: measurements of one level differ by less. */
const LEAST_DIP = 0.5;

/** The deepest dip, in dB: below it errors are twice as large, and the rate is too high for what is trained. */
const DEEPEST_DIP = 6;

/** Measurements that a dip may take, down and up again. */
const LONGEST_DIP = 9;

/** Place of a training without a given number of steps. */
export interface PlateauState {
  /** Most steps. */
  readonly most: number;
  /** Measurements in a row in which nothing has moved. */
  readonly without: number;
  /** The greatest SQNR so far, in dB. */
  readonly best: number;
  /** Summary of the measurements since the greatest SQNR; undefined where there were none yet. */
  readonly dip?: Dip | undefined;
  /** The step from which the rate falls, where that is earlier than most steps ask for. */
  readonly fallsFrom?: number | undefined;
}

/** Measurements since the greatest SQNR: how many, the lowest, and the highest that came after the lowest, in dB. */
interface Dip {
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

/** What to do after a measurement: `fall` says that the rate falls from here on, from the best weights. */
export type PlateauAdvice = 'keep' | 'go on' | 'fall';

/**
 * Plans a training whose number of steps is not given. The rate stays high until held-out texts have not gained for a
 * while, or until what is left of the most steps is needed to let it fall; how long it falls depends on how long it was
 * high. A high rate first loses some of what a student had that was near to its teacher already, to come farther
 * afterwards: such a dip is no plateau as long as it goes down or up.
 */
export class Plateau {
  readonly #most: number;
  #without: number;
  #best: number;
  #dip: Dip | undefined;
  #fallsFrom: number | undefined;

  constructor({ most, without, best, dip, fallsFrom }: PlateauState) {
    this.#most = most;
    this.#without = without;
    this.#best = best;
    this.#dip = dip;
    this.#fallsFrom = fallsFrom;
  }

  get state(): PlateauState {
    const state = { most: this.#most, without: this.#without, best: this.#best };
    return {
      ...state,
      ...(this.#dip && { dip: this.#dip }),
      ...(this.#fallsFrom !== undefined && { fallsFrom: this.#fallsFrom }),
    };
  }

  /** The number of steps in all, as far as is known now. */
  get end(): number {
    return this.#fallsFrom === undefined ? this.#most : Math.min(this.#most, Math.ceil(this.#fallsFrom / HIGH_SHARE));
  }

  /** True from the step on at which the rate falls. */
  isFalling(step: number): boolean {
    return step >= this.#highest;
  }

  /** The rate of a step, as a share of the highest. */
  rateAt(step: number): number {
    const left = (this.end - step) / (this.end - this.#highest);
    return Math.min(1, (step + 1) / WARM_UP_STEPS) * Math.min(1, left);
  }

  /** Takes a measurement after some steps: `keep` says that these weights are the best so far. */
  hear(sqnrDb: number, step: number): PlateauAdvice {
    if (sqnrDb > this.#best + LEAST_GAIN) {
      this.#best = sqnrDb;
      this.#without = 0;
      this.#dip = undefined;
      return 'keep';
    }
    this.#without = this.#movesInDip(sqnrDb) ? 0 : this.#without + 1;
    if (this.#without < PATIENCE || this.isFalling(step)) return 'go on';
    this.#fallsFrom = step;
    return 'fall';
  }

  /** Takes a measurement that is no gain: whether it is the lowest of a dip, or the highest on the way out of it. */
  #movesInDip(sqnrDb: number): boolean {
    // Nothing is below equality by a number of dB.
    if (this.#best === Number.POSITIVE_INFINITY) return false;
    const { count, low, high } = this.#dip ?? { count: 0, low: this.#best, high: this.#best };
    const isLower = sqnrDb < low - LEAST_GAIN && sqnrDb > this.#best - DEEPEST_DIP;
    const isHigher = sqnrDb > high + LEAST_GAIN;
    this.#dip = {
      count: count + 1,
      low: isLower ? sqnrDb : low,
      high: isLower || isHigher ? sqnrDb : high,
    };
    const isDip = this.#dip.low < this.#best - LEAST_DIP;
    return isDip && this.#dip.count < LONGEST_DIP && (isLower || isHigher);
  }

  /** The number of steps that are taken with the highest rate. */
  get #highest(): number {
    return this.#fallsFrom ?? Math.floor(HIGH_SHARE * this.#most);
  }
}
