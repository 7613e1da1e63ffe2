import { expect, test } from 'vitest';
import { type FitAttempt, MAX_ATTEMPTS, nextKept } from '../../../src/pipelines/fit/search.ts';

const sites = Array.from({ length: 40 }, (_, i) => ({ name: `norm.${i}`, op: 'layerNorm' as const, noise: 0.8 ** i }));

/** Searches where `dropOf` tells what a try loses; the tries in their order. */
function searched(dropOf: (kept: number) => number, maxDrop: number): FitAttempt[] {
  const attempts: FitAttempt[] = [];
  for (let kept = nextKept(sites, attempts, maxDrop); kept !== null; kept = nextKept(sites, attempts, maxDrop)) {
    expect(attempts.map((each) => each.kept)).not.toContain(kept);
    attempts.push({ kept, drop: dropOf(kept) });
  }
  return attempts;
}

test('keeps nothing where nothing needs to be kept', () => {
  expect(searched(() => 0.4, 0.5).filter(({ drop }) => drop <= 0.5)[0]).toEqual({ kept: 0, drop: 0.4 });
});

test.each([1, 3, 7, 20, 39])('finds that %d must stay, within one or two', (needed) => {
  const attempts = searched((kept) => (kept >= needed ? 0.2 : 5), 0.5);
  const best = Math.min(...attempts.filter(({ drop }) => drop <= 0.5).map(({ kept }) => kept), sites.length);
  expect(best).toBeGreaterThanOrEqual(needed);
  expect(best - needed).toBeLessThanOrEqual(2);
  expect(attempts.length).toBeLessThanOrEqual(MAX_ATTEMPTS + 1);
});

test('guesses at once where the loss grows with the root of the noise', () => {
  const left = (kept: number) => sites.slice(kept).reduce((sum, { noise }) => sum + noise, 0);
  const attempts = searched((kept) => 8 * Math.sqrt(left(kept) / left(0)), 2);
  expect(attempts[1]?.drop).toBeLessThanOrEqual(2);
  expect(attempts[1]?.drop).toBeGreaterThan(1.5);
});

test('gives up where nothing holds', () => {
  const attempts = searched(() => 3, 0.1);
  expect(attempts.length).toBeLessThanOrEqual(MAX_ATTEMPTS + 1);
  expect(attempts.every(({ kept }) => kept < sites.length)).toBe(true);
});
