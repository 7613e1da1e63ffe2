import { isAllowed } from '../evaluate/drop.ts';
import type { SensitiveSite } from './sensitivity.ts';

/** A fit takes a minute: so many more are tried to find what holds a limit. */
export const MAX_TRIES = 6;

/** What is known of one try: how many of the most sensitive sites it kept, and what it lost. */
export interface Tried {
  readonly kept: number;
  readonly drop: number;
}

/**
 * How many of `sites`, the most sensitive first, to keep in the next try so that `maxDrop` holds with as few of them as can
 * be; null where no try is worth its time. The first guess takes the loss to grow with the root of the noise that the
 * sites bring which are not kept; then the gap between the most that failed and the fewest that held is halved.
 */
export function nextKept(sites: readonly SensitiveSite[], tried: readonly Tried[], maxDrop: number): number | null {
  const held = tried.filter(({ drop }) => isAllowed(drop, maxDrop)).map(({ kept }) => kept);
  const failed = tried.filter(({ drop }) => !isAllowed(drop, maxDrop)).map(({ kept }) => kept);
  const low = Math.max(-1, ...failed);
  // With all of them kept nothing is changed, and nothing is lost.
  const high = Math.min(sites.length, ...held);
  if (tried.length > MAX_TRIES || high - low <= Math.max(1, Math.floor(sites.length / 32))) return null;
  const [first] = tried;
  if (first === undefined) return 0;
  const guess = tried.length === 1 ? guessed(sites, first.drop, maxDrop) : Math.ceil((low + high) / 2);
  return Math.min(Math.max(guess, low + 1), high - 1);
}

function guessed(sites: readonly SensitiveSite[], drop: number, maxDrop: number): number {
  const all = sites.reduce((sum, { noise }) => sum + noise, 0);
  let left = all;
  let kept = 0;
  while (kept < sites.length && drop * Math.sqrt(Math.max(left, 0) / all) > maxDrop)
    left -= sites[kept++]?.noise as number;
  return kept;
}
