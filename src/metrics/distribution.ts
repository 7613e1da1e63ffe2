/** How numbers are distributed: their range, and how many of them lie in each of equal bins over it. */
export interface Distribution {
  readonly least: number;
  readonly most: number;
  /** √(Σx²/n): how far the outermost values stand out from the others. */
  readonly rms: number;
  /** Counts of values, from the least to the largest; one where all values are equal. */
  readonly counts: readonly number[];
}

/** Number of bins: as many bars as a panel beside a graph shows apart, in a hundred bytes or two of a page. */
const BINS = 32;

/** Distribution of all finite values; undefined where there are none. */
export function distributionOf(values: ArrayLike<number>): Distribution | undefined {
  let [least, most, squares, count] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
    squares += value * value;
    count++;
  }
  if (count === 0) return undefined;
  const rms = Math.sqrt(squares / count);
  if (least === most) return { least, most, rms, counts: [count] };
  const counts = new Array<number>(BINS).fill(0);
  const binsPerUnit = BINS / (most - least);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    const bin = Math.min(BINS - 1, Math.floor((value - least) * binsPerUnit));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return { least, most, rms, counts };
}

/** Numbers that were counted in bins of one width and not kept. */
interface Counted {
  readonly min: number;
  readonly max: number;
  readonly rms: number;
  /** Counts in equal bins over [-limit, limit). */
  readonly histogram: { readonly limit: number; readonly counts: ArrayLike<number> };
}

/** Distribution of numbers that were counted finely over a range around zero: each fine bin goes where its middle is. */
export function coarseDistribution({ min: least, max: most, rms, histogram }: Counted): Distribution {
  const { limit, counts: fine } = histogram;
  const width = (2 * limit) / fine.length;
  const counts = new Array<number>(least === most ? 1 : BINS).fill(0);
  const binsPerUnit = least === most ? 0 : BINS / (most - least);
  for (let i = 0; i < fine.length; i++) {
    const count = fine[i] as number;
    if (count === 0) continue;
    const middle = -limit + (i + 0.5) * width;
    const bin = Math.min(counts.length - 1, Math.max(0, Math.floor((middle - least) * binsPerUnit)));
    counts[bin] = (counts[bin] as number) + count;
  }
  return { least, most, rms, counts };
}
