/** The share of steps in which the rate rises. It falls to 0 along a cosine afterwards. */
const WARM_UP = 0.05;

/** Steps in which the rate rises where their number is not known. */
const WARM_UP_STEPS = 30;

/** The rate of a step, as a share of the highest, where the number of steps is given. */
export function rateAt(step: number, steps: number): number {
  const rising = Math.min(1, (step + 1) / (WARM_UP * steps));
  return rising * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
}

/** Steps between two measurements on held-out texts. */
export const TRIAL_STEPS = 50;

/** Measurements without a gain after which the rate falls. */
const PATIENCE = 3;

/** The factor by which it falls. */
const DECAY = 0.4;

/** Number of falls after which training ends. */
const FALLS = 3;

/** The least gain that counts, in dB: less is noise. */
const LEAST_GAIN = 0.02;

/** Most steps: a day of some models. */
export const MOST_STEPS = 50_000;

/** Place of a training without a given number of steps. */
export interface PlateauState {
  /** Falls of the rate so far. */
  readonly falls: number;
  /** Measurements since the last gain. */
  readonly without: number;
  /** The greatest SQNR so far, in dB. */
  readonly best: number;
}

/** What to do after a measurement. */
export type PlateauAdvice = 'keep' | 'go on' | 'fall' | 'end';

/**
 * Ends a training whose number of steps is not given: where held-out texts have not gained for a while, it goes back to
 * the best weights with a lower rate, and ends when that does not help any more either.
 */
export class Plateau {
  #falls: number;
  #without: number;
  #best: number;

  constructor({ falls, without, best }: PlateauState) {
    this.#falls = falls;
    this.#without = without;
    this.#best = best;
  }

  get state(): PlateauState {
    return { falls: this.#falls, without: this.#without, best: this.#best };
  }

  /** The rate of a step, as a share of the highest. */
  rateAt(step: number): number {
    return Math.min(1, (step + 1) / WARM_UP_STEPS) * DECAY ** this.#falls;
  }

  /** Takes a measurement: `keep` says that these weights are the best so far. */
  hear(sqnrDb: number): PlateauAdvice {
    if (sqnrDb > this.#best + LEAST_GAIN) {
      this.#best = sqnrDb;
      this.#without = 0;
      return 'keep';
    }
    this.#without++;
    if (this.#without < PATIENCE) return 'go on';
    this.#without = 0;
    this.#falls++;
    return this.#falls > FALLS ? 'end' : 'fall';
  }
}
