import { randomNumbers } from '../solve/random-numbers.ts';
import type { TokenRow } from './feeds.ts';

/** The share of a row's tokens that are exchanged. */
const EXCHANGED = 0.5;

/**
 * Makes `count` rows that a model has not seen out of some that are there: each again, in turns, with half of its tokens
 * exchanged for any of the `vocabulary` ids. A row's first and last token stay, and so does every other one that is
 * equal to them ([CLS] and [SEP]), and all token types. The same rows in, the same rows out.
 */
export function exchangedRows(rows: readonly TokenRow[], count: number, vocabulary: number): TokenRow[] {
  if (rows.length === 0) return [];
  const random = randomNumbers(0);
  return Array.from({ length: Math.max(0, count) }, (_, i) => {
    const row = rows[i % rows.length] as TokenRow;
    const frame = [row.inputIds[0], row.inputIds.at(-1)];
    const inputIds = row.inputIds.map((id) =>
      !frame.includes(id) && random() < EXCHANGED ? Math.floor(random() * vocabulary) : id,
    );
    return { ...row, inputIds };
  });
}
