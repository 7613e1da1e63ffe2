import { createHash } from 'node:crypto';
import type { TokenSample } from './open-samples.ts';

interface Overlap {
  /** Number of evaluation samples that were calibrated on. */
  readonly count: number;
  /** Place of the first of them among the evaluation samples, from 0. */
  readonly first: number;
}

/**
 * Finds evaluation samples that occur in the calibration data: a result on them tells nothing of new text. Texts are
 * compared but for case, spaces and forms of one character; samples of which one side has only tokens, by their tokens.
 */
export function findOverlap(calibration: readonly TokenSample[], evaluation: readonly TokenSample[]): Overlap | null {
  const seen = new Set(calibration.flatMap(sampleKeys));
  let count = 0;
  let first = -1;
  for (const [i, sample] of evaluation.entries()) {
    if (!sampleKeys(sample).some((key) => seen.has(key))) continue;
    if (count === 0) first = i;
    count++;
  }
  return count === 0 ? null : { count, first };
}

/** Keys of a sample, as hashes, so that what is kept is small however long the texts are. Equal samples share one. */
export function sampleKeys({ row, texts }: TokenSample): string[] {
  const keys = [hash(`tokens ${row.inputIds.join(' ')}`)];
  if (texts) keys.push(hash(`text ${texts.map(normalized).join('\n')}`));
  return keys;
}

function normalized(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
