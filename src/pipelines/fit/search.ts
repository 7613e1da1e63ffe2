import { isAllowed } from '../evaluate/drop.ts';
import type { SensitiveSite } from './sensitivity.ts';

/** Attempts after the first to find what holds a limit: few, as a fit takes a minute. */
export const MAX_ATTEMPTS = 6;

/**
 * An attempt to hold the limit: how many of the most sensitive sites it kept, and what it lost in percentage points.
 */
export interface FitAttempt {
  readonly kept: number;
  readonly drop: number;
}

/**
 * The number of `sites`, the most sensitive first, to keep in the next attempt so that `maxDrop` holds with as few of
 * them as possible; null where no attempt is worth its time. The first guess takes the loss to grow with the root of
 * the noise of the sites that are not kept; then the gap between the most that failed and the fewest that held is
 * halved.
 */
export function nextKept(
  sites: readonly SensitiveSite[],
  attempts: readonly FitAttempt[],
  maxDrop: number,
): number | null {
  const held = attempts.filter(({ drop }) => isAllowed(drop, maxDrop)).map(({ kept }) => kept);
  const failed = attempts.filter(({ drop }) => !isAllowed(drop, maxDrop)).map(({ kept }) => kept);
  const low = Math.max(-1, ...failed);
  // With all of them kept nothing is changed, and nothing is lost.
  const high = Math.min(sites.length, ...held);
  if (attempts.length > MAX_ATTEMPTS || high - low <= Math.max(1, Math.floor(sites.length / 32))) return null;
  const [first] = attempts;
  if (first === undefined) return 0;
  const guess = attempts.length === 1 ? guessed(sites, first.drop, maxDrop) : Math.ceil((low + high) / 2);
  return Math.min(Math.max(guess, low + 1), high - 1);
}

/** Guesses the number of sites to keep from the loss with none of them kept. */
function guessed(sites: readonly SensitiveSite[], drop: number, maxDrop: number): number {
  const all = sites.reduce((sum, { noise }) => sum + noise, 0);
  let left = all;
  let kept = 0;
  while (kept < sites.length && drop * Math.sqrt(Math.max(left, 0) / all) > maxDrop)
    left -= sites[kept++]?.noise as number;
  return kept;
}
