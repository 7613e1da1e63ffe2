/** Spread of many measurements: the median, and bounds between which all but a tenth at either end lie. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

const TAIL = 0.1;

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] as number;
  return { median: at(0.5), low: at(TAIL), high: at(1 - TAIL) };
}
