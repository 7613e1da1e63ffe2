/** A hundredth of 100 samples is not exactly a point. */
const ROUNDING = 1e-9;

/** Whether no more points are lost than may be. A loss that is NaN is no answer, so it is a no. */
export function isAllowed(drop: number, maxDrop: number): boolean {
  return drop <= maxDrop + ROUNDING;
}
